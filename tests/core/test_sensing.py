"""Compressed sensing against closed forms: gradients, the MAP of a linear decoder, the Gaussian."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from offmanifold.core.likelihood import simulate
from offmanifold.core.posterior import Posterior
from offmanifold.core.sensing import (
    Restoration,
    measure,
    measurement_matrix,
    measuring,
    restore,
)
from offmanifold.core.settings.sensing import SensingSettings
from torch import Tensor

DOUBLE = torch.empty(0).double()


def noise_free(decoder: Any, count: int) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(count)
    latent = torch.randn(count, decoder.latent_dim, generator=random, dtype=torch.float64)
    return decoder(latent, None), latent


def test_the_objective_is_the_negative_log_posterior(
    saturating_decoder: Callable[..., Any],
) -> None:
    decoder = saturating_decoder(2, 7)
    images, _ = noise_free(decoder, 1)
    matrix, noise = measurement_matrix(3, 5, 7), 0.2
    observed = measure(images, matrix, noise, [0])
    random = torch.Generator().manual_seed(2)
    latent = torch.randn(1, 6, 2, generator=random, dtype=torch.float64)
    seen = observed[..., None, None]
    posterior = Posterior(measuring(decoder, matrix), seen, None, noise**2)
    found = posterior.value(latent)[0]
    decoded = decoder(latent[0], None).flatten(1) @ matrix.T
    joint = torch.distributions.Normal(decoded, noise).log_prob(observed).sum(1)
    joint += torch.distributions.Normal(0, 1).log_prob(latent[0]).sum(1)
    torch.testing.assert_close(found - found[0], joint[0] - joint)


@pytest.mark.parametrize("measurements", [3, 9, 24])
def test_a_linear_decoders_map_is_the_normal_equations(
    linear_decoder: Callable[..., Any], measurements: int
) -> None:
    decoder = linear_decoder(6, 24)
    noise = 0.1
    images, _ = simulate(decoder, None, 0.01, range(5), like=DOUBLE)
    matrix = measurement_matrix(7, measurements, 24)
    settings = SensingSettings(bank=200, restarts=4, finalists=2, noise=noise)
    found = restore(decoder, images, None, matrix, settings, range(5))
    seen = matrix @ decoder.weight
    observed = measure(images, matrix, noise, range(5)) - matrix.sum(1) / 2
    precision = seen.T @ seen / noise**2 + torch.eye(6, dtype=torch.float64)
    expected = torch.linalg.solve(precision, (observed @ seen / noise**2).T).T
    for restart in range(2):
        torch.testing.assert_close(found.restart_latent[:, restart], expected, rtol=0, atol=1e-4)
    residual = observed - expected @ seen.T
    least = residual.square().sum(1) / (2 * noise**2) + expected.square().sum(1) / 2
    torch.testing.assert_close(found.restart_objective[:, 0], least, rtol=0, atol=1e-6)
    restored = decoder(expected, None)
    error = (restored - images).square().flatten(1).mean(1)
    torch.testing.assert_close(found.restart_mse[:, 0], error, rtol=1e-3, atol=0)


def test_all_measurements_almost_without_noise_give_the_image_back(
    linear_decoder: Callable[..., Any],
) -> None:
    decoder = linear_decoder(4, 12)
    images, latent = noise_free(decoder, 3)
    matrix = measurement_matrix(0, 12, 12)
    settings = SensingSettings(bank=200, restarts=2, finalists=1, noise=1e-4)
    found = restore(decoder, images, None, matrix, settings, range(3))
    torch.testing.assert_close(found.restart_latent[:, 0], latent, rtol=0, atol=1e-3)
    assert (found.restart_mse < 1e-7).all()


def test_measurements_are_those_of_the_model(linear_decoder: Callable[..., Any]) -> None:
    matrix = measurement_matrix(5, 40, 300)
    entries = matrix.flatten()
    # 12000 independent entries: 4 standard errors of their mean and of their variance.
    assert abs(entries.mean()) < 4 / math.sqrt(40 * 12000)
    assert abs(entries.var() * 40 - 1) < 4 * math.sqrt(2 / 12000)
    torch.testing.assert_close(
        measurement_matrix(5, 10, 300) * math.sqrt(10), matrix[:10] * math.sqrt(40)
    )
    images, _ = noise_free(linear_decoder(4, 300), 50)
    error = measure(images, matrix, 0.3, range(50)) - images.flatten(1) @ matrix.T
    assert abs(error.square().mean() / 0.09 - 1) < 4 * math.sqrt(2 / 2000)
    assert abs(np.corrcoef(error.numpy())[np.triu_indices(50, 1)]).max() < 5 / math.sqrt(40)


@pytest.mark.parametrize("measurements", [0, 13])
def test_more_measurements_than_values_are_refused(measurements: int) -> None:
    with pytest.raises(ValueError, match=f"{measurements} measurements .* choose 1 to 12"):
        measurement_matrix(0, measurements, 12)


def test_the_objective_chooses_the_restart_and_not_the_truth() -> None:
    found = Restoration(
        restart_latent=torch.zeros(2, 3, 1),
        restart_objective=torch.tensor([[5.0, 2.0, 9.0], [math.inf, 4.0, 3.0]]).double(),
        restart_mse=torch.tensor([[0.1, 0.3, 0.2], [math.nan, 0.2, 0.5]]).double(),
        evaluations=0,
    )
    assert found.chosen.tolist() == [1, 2]
    assert found.oracle.tolist() == [0, 1]


def test_a_tied_truth_is_not_looked_up(two_moded_decoder: Callable[..., Any]) -> None:
    # Measured by one number only, z and -z look alike though a skewed decoder tells them apart:
    # the objective then prefers the nearer one to 0, right or wrong.
    decoder = two_moded_decoder(2)
    slope = decoder.slope

    def skewed(latent: Tensor, condition: Tensor | None) -> Tensor:  # noqa: ARG001
        offset = torch.stack([latent[:, 0] - 0.5, torch.zeros_like(latent[:, 0])], 1)
        return torch.stack([offset[:, 0].square(), latent[:, 0]], 1).view(-1, 1, 1, 2) * slope

    class Skewed:
        latent_dim, num_classes, image_shape = 1, 0, (1, 1, 2)
        __call__ = staticmethod(skewed)

        def to(self, device: torch.device) -> "Skewed":  # noqa: ARG002
            return self

    far = torch.tensor([[2.0]], dtype=torch.float64)
    images = skewed(far, None)
    only_first = torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    settings = SensingSettings(bank=200, restarts=12, finalists=12, noise=0.1)
    found = restore(Skewed(), images, None, only_first, settings, [4])
    # (z - 1/2)^2 = 9/4 at z = 2, the truth, and at z = -1, which the prior prefers.
    chosen = found.restart_latent[0, found.chosen[0], 0].item()
    oracle = found.restart_latent[0, found.oracle[0], 0].item()
    assert chosen == pytest.approx(-1, abs=0.05)
    assert oracle == pytest.approx(2, abs=0.05)


def test_an_image_does_not_depend_on_its_neighbours(
    saturating_decoder: Callable[..., Any],
) -> None:
    decoder = saturating_decoder(3, 20)
    images, _ = noise_free(decoder, 5)
    matrix = measurement_matrix(1, 8, 20)
    settings = SensingSettings(bank=200, iterations=40, restarts=3, noise=0.05)
    seeds = [11, 12, 13, 14, 15]
    whole = restore(decoder, images, None, matrix, settings, seeds)
    order = [3, 0]
    part = restore(decoder, images[order], None, matrix, settings, [seeds[i] for i in order])
    # Float64, so that what the size of a product changes stays far below what is compared.
    for name in ("restart_latent", "restart_objective", "restart_mse"):
        torch.testing.assert_close(
            getattr(part, name), getattr(whole, name)[order], rtol=1e-6, atol=1e-9
        )


def test_a_normalised_latent_stays_on_the_typical_sphere(
    spherical_decoder: Callable[..., Any],
) -> None:
    decoder = spherical_decoder()
    images, latent = noise_free(decoder, 3)
    settings = SensingSettings(bank=200, restarts=6, finalists=6, noise=0.01)
    found = restore(decoder, images, None, measurement_matrix(1, 4, 8), settings, range(3))
    torch.testing.assert_close(
        found.restart_latent.norm(dim=-1), torch.ones(3, 6, dtype=torch.float64)
    )
    best = found.restart_latent[torch.arange(3), found.chosen]
    torch.testing.assert_close(best, latent / latent.norm(dim=1, keepdim=True), rtol=0, atol=0.1)


def test_each_image_meets_its_own_class(
    linear_decoder: Callable[..., Any], conditional_decoder: Callable[..., Any]
) -> None:
    decoders = [linear_decoder(3, 12, seed=seed) for seed in range(2)]
    decoder = conditional_decoder(decoders)
    condition = torch.tensor([1, 0])
    images = torch.cat([noise_free(decoders[1], 1)[0], noise_free(decoders[0], 1)[0]])
    matrix = measurement_matrix(0, 12, 12)
    settings = SensingSettings(bank=200, restarts=4, final_iterations=20)
    right = restore(decoder, images, condition, matrix, settings, [1, 2])
    wrong = restore(decoder, images, 1 - condition, matrix, settings, [1, 2])
    assert (right.restart_mse < 1e-3).all()
    assert (wrong.restart_mse > 1e-2).all()
