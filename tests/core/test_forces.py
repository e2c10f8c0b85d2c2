"""Forces of lower precision inside of a trajectory: other chains, the same mean weight."""

import math
from dataclasses import replace
from typing import Literal, Self

import pytest
import torch
from offmanifold.core.compiled_chains import move_of
from offmanifold.core.densities import ProposalToPosterior
from offmanifold.core.guided import estimate_guided
from offmanifold.core.likelihood import estimate_log_likelihood, simulate
from offmanifold.core.samplers import hmc
from offmanifold.core.samplers.charts import StandardChart
from offmanifold.core.settings.classical import ClassicalSettings
from torch import Tensor, nn

from tests.core.lean import LEAN

VARIANCE = 0.02


class Layer(nn.Module):
    """G(z) = 1/2 + W z in float32, whose density has a closed form."""

    num_classes, latent_dim, image_shape = 0, 2, (1, 1, 6)

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 6).requires_grad_(False)
        random = torch.Generator().manual_seed(2)
        self.layer.weight.copy_(0.3 * torch.randn(6, 2, generator=random))
        self.layer.bias.fill_(0.5)

    def forward(self, latent: Tensor, condition: Tensor | None) -> Tensor:
        assert condition is None
        images: Tensor = self.layer(latent).view(-1, 1, 1, 6)
        return images

    def to(self, device: torch.device) -> Self:  # type: ignore[override]  # noqa: ARG002
        return self

    def log_density(self, images: Tensor) -> Tensor:
        weight = self.layer.weight.double()
        covariance = weight @ weight.T + VARIANCE * torch.eye(6, dtype=torch.float64)
        mean = torch.full((6,), 0.5, dtype=torch.float64)
        law = torch.distributions.MultivariateNormal(mean, covariance)
        return law.log_prob(images.double().flatten(1))


def pair(forces: Literal["bfloat16"] | None) -> ProposalToPosterior:
    images, _ = simulate(Layer(), None, VARIANCE, [1])
    return ProposalToPosterior(Layer(), images, None, VARIANCE, StandardChart(), forces)


def test_forces_alone_are_of_the_lower_precision() -> None:
    position = torch.randn(1, 64, 2, generator=torch.Generator().manual_seed(0))
    exact, coarse = pair(None), pair("bfloat16")
    (_, expected), (_, found) = exact.gradients(position), coarse.gradients(position)
    assert found.dtype == torch.float32
    error = ((found - expected).norm() / expected.norm()).item()
    assert 1e-4 < error < 0.05
    for one, other in zip(exact.evaluate(position), coarse.evaluate(position), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert move_of(coarse) is hmc.transition


def test_a_trajectory_with_such_forces_comes_back() -> None:
    random = torch.Generator().manual_seed(3)
    coarse, step = pair("bfloat16"), torch.full((1, 64), 0.05)
    position, momentum = torch.randn(2, 1, 64, 2, generator=random).unbind(0)
    begun = hmc.initial_state(coarse, position)
    end, after = hmc.leapfrog(coarse, begun, momentum, 0.5, step, 5)
    back, _ = hmc.leapfrog(coarse, end, -after, 0.5, step, 5)
    # Rounding to bfloat16 is a step function of the position, and float32's rounding may cross it.
    assert ((back.position - position).abs() < 1e-4).double().mean() > 0.9
    assert (end.position - position).abs().amax() > 0.05


@pytest.mark.parametrize(
    ("transitions", "weights"),
    [
        (2, 20_000),
        pytest.param(2, 200_000, marks=pytest.mark.slow),
        pytest.param(10, 200_000, marks=pytest.mark.slow),
        pytest.param(66, 100_000, marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("estimator", ["classical", "guided"])
def test_the_mean_weight_is_the_density(estimator: str, transitions: int, weights: int) -> None:
    layer = Layer()
    image, _ = simulate(layer, None, VARIANCE, [4])
    if estimator == "classical":
        settings = ClassicalSettings(
            transitions=transitions, chains=weights, leapfrog_steps=4, forces="bfloat16"
        )
        schedule = torch.full((transitions - 1,), 0.15, dtype=torch.float64)
        found = estimate_log_likelihood(
            layer, image, None, VARIANCE, settings, [5], schedule
        ).chain_log_weights
    else:
        lean = replace(LEAN, transitions=transitions, chains=weights, restarts=4, iterations=20)
        found = estimate_guided(
            layer, image, None, VARIANCE, replace(lean, forces="bfloat16"), [5]
        ).chain_log_weights
    weight = (found[0] - layer.log_density(image)).exp()
    error = weight.std() / math.sqrt(weights)
    assert error < 0.1
    assert abs(weight.mean() - 1) < 4 * error
    print(f"\n{estimator}, T = {transitions}: {weight.mean():.4f} ± {error:.4f}", end="")
