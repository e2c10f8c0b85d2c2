"""Annealed importance sampling against exact values and against the slow, obvious algorithm."""

import math
from collections.abc import Callable, Iterator
from typing import Any, Self

import numpy as np
import pytest
import torch
from offmanifold.core.densities import ProposalToPosterior
from offmanifold.core.likelihood import (
    bound_log_likelihood_above,
    estimate_log_likelihood,
    simulate,
)
from offmanifold.core.samplers import noise as noise_module
from offmanifold.core.samplers.ais import anneal
from offmanifold.core.samplers.charts import StandardChart
from offmanifold.core.samplers.noise import Stream, TransitionNoise, transition_noise
from offmanifold.core.samplers.schedule import sigmoid_schedule
from offmanifold.core.samplers.step_size import AdaptiveStepSize, ScheduledStepSize
from offmanifold.core.settings.classical import ClassicalSettings
from torch import Tensor

VARIANCE = 0.1
DOUBLE = torch.empty(0).double()


def z_score(weights: Tensor) -> float:
    """How many standard errors the mean of weights that should average 1 is from 1."""
    standard_error = weights.std() / math.sqrt(len(weights))
    assert standard_error < 0.02
    return float((weights.mean() - 1) / standard_error)


@pytest.mark.parametrize("transitions", [1, 10, 40])
def test_mean_weight_is_exact(linear_decoder: Callable[..., Any], transitions: int) -> None:
    decoder = linear_decoder(2, 4)
    images, _ = simulate(decoder, None, VARIANCE, [1], like=DOUBLE)
    settings = ClassicalSettings(transitions=transitions, chains=100_000, leapfrog_steps=3)
    schedule = torch.full((transitions - 1,), 0.5).double()
    estimate = estimate_log_likelihood(decoder, images, None, VARIANCE, settings, [2], schedule)
    exact = decoder.log_density(images, VARIANCE)
    assert abs(z_score((estimate.chain_log_weights[0] - exact).exp())) < 4


@pytest.mark.parametrize("transitions", [10, 40])
def test_mean_reverse_weight_is_exact(linear_decoder: Callable[..., Any], transitions: int) -> None:
    # The reverse chains must start from the posterior, which is Gaussian here.
    decoder = linear_decoder(2, 4)
    images, _ = simulate(decoder, None, VARIANCE, [1], like=DOUBLE)
    precision = decoder.weight.T @ decoder.weight / VARIANCE + torch.eye(2)
    mean = torch.linalg.solve(precision, decoder.weight.T @ (images.flatten() - 0.5)) / VARIANCE
    posterior = torch.distributions.MultivariateNormal(mean, precision_matrix=precision)
    torch.manual_seed(3)
    position = posterior.sample((1, 100_000))
    schedule = torch.full((transitions - 1, 1, 1), 0.5).double()
    chains = anneal(
        ProposalToPosterior(decoder, images, None, VARIANCE, StandardChart()),
        position,
        sigmoid_schedule(transitions, 4.0).flip(0),
        3,
        ScheduledStepSize(schedule, 0.3, position),
        transition_noise([2], (Stream.REVERSE,), transitions - 1, position),
    )
    exact = decoder.log_density(images, VARIANCE)
    assert abs(z_score((chains.log_weight[0] + exact).exp())) < 4


@pytest.mark.parametrize("latent_dim", [1, 2])
def test_curved_decoder_agrees_with_quadrature(
    curved_decoder: Callable[..., Any], latent_dim: int
) -> None:
    decoder = curved_decoder(latent_dim, 5)
    images, _ = simulate(decoder, None, VARIANCE, range(4), like=DOUBLE)
    images[3] = 0.9
    settings = ClassicalSettings(transitions=40, chains=4000, leapfrog_steps=3)
    schedule = torch.full((39,), 0.3).double()
    estimate = estimate_log_likelihood(
        decoder, images, None, VARIANCE, settings, range(4), schedule
    )
    exact = decoder.log_density(images, VARIANCE)
    for log_weights, value in zip(estimate.chain_log_weights, exact, strict=True):
        weights = (log_weights - value).exp()
        standard_error = weights.std() / math.sqrt(len(weights))
        assert standard_error < 0.1
        assert abs(weights.mean() - 1) < 4 * standard_error


@pytest.mark.parametrize("mode", ["tuned", "classic"])
def test_forward_and_reverse_chains_enclose_the_exact_value(
    linear_decoder: Callable[..., Any], mode: str
) -> None:
    decoder = linear_decoder(8, 32)
    seeds = range(48)
    images, latent = simulate(decoder, None, 0.01, seeds, like=DOUBLE)
    settings = ClassicalSettings(transitions=60, leapfrog_steps=5)
    beta = sigmoid_schedule(60, 4.0)[1:-1]
    schedule = 0.3 / torch.sqrt(1 + 40 * beta) if mode == "tuned" else None
    arguments = (None, 0.01, settings, seeds, schedule)
    lower = estimate_log_likelihood(decoder, images, *arguments).log_likelihood
    upper = bound_log_likelihood_above(decoder, images, latent, *arguments)
    exact = decoder.log_density(images, 0.01)
    for gap in (exact - lower, upper - exact):
        standard_error = gap.std() / math.sqrt(len(gap))
        assert 4 * standard_error < gap.mean() < 15


@pytest.mark.slow
@pytest.mark.ci
def test_error_shrinks_with_the_number_of_transitions(linear_decoder: Callable[..., Any]) -> None:
    decoder = linear_decoder(8, 64)
    seeds = range(16)
    images, _ = simulate(decoder, None, 0.01, seeds, like=DOUBLE)
    errors = []
    for transitions in (200, 2000):
        beta = sigmoid_schedule(transitions, 4.0)[1:-1]
        schedule = 0.5 / torch.sqrt(1 + 80 * beta)
        settings = ClassicalSettings(transitions=transitions, leapfrog_steps=3)
        estimate = estimate_log_likelihood(decoder, images, None, 0.01, settings, seeds, schedule)
        exact = decoder.log_density(images, 0.01)
        errors.append((estimate.chain_log_weights - exact[:, None]).square().mean().sqrt())
    assert errors[1] < errors[0] / 2


def test_generator_is_called_once_per_leapfrog_step(linear_decoder: Callable[..., Any]) -> None:
    decoder = linear_decoder(3, 5)
    images, _ = simulate(decoder, None, VARIANCE, range(2), like=DOUBLE)
    decoder.calls = 0
    settings = ClassicalSettings(transitions=7, leapfrog_steps=4)
    estimate_log_likelihood(decoder, images, None, VARIANCE, settings, range(2))
    assert decoder.calls == 4 * 6 + 1


class _Reference:
    """AIS as its definition reads: one chain, autograd through log densities, nothing cached."""

    def __init__(self, decoder: Any, image: Tensor, leapfrog_steps: int) -> None:
        self._decoder, self._image, self._steps = decoder, image, leapfrog_steps

    def likelihood(self, z: Tensor) -> Tensor:
        mean = self._decoder(z[None], None)[0]
        return torch.distributions.Normal(mean, math.sqrt(VARIANCE)).log_prob(self._image).sum()

    def tempered(self, z: Tensor, beta: float) -> Tensor:
        prior = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum()
        return prior + beta * self.likelihood(z)

    def gradient(self, z: Tensor, beta: float) -> Tensor:
        leaf = z.detach().requires_grad_()
        return torch.autograd.grad(self.tempered(leaf, beta), leaf)[0]

    def hmc(
        self, z: Tensor, p: Tensor, uniform: Tensor, beta: float, step: Tensor
    ) -> tuple[Tensor, bool]:
        before = self.tempered(z, beta) - p.square().sum() / 2
        proposal = z
        for _ in range(self._steps):
            p = p + step / 2 * self.gradient(proposal, beta)
            proposal = proposal + step * p
            p = p + step / 2 * self.gradient(proposal, beta)
        after = self.tempered(proposal, beta) - p.square().sum() / 2
        accepted = bool(uniform < torch.exp(after - before))
        return (proposal if accepted else z), accepted

    def run(self, z: Tensor, beta: Tensor, draws: list[TransitionNoise], rule: Any) -> Tensor:
        log_weight = torch.zeros((), dtype=torch.float64)
        for t in range(1, len(beta)):
            log_weight += (beta[t] - beta[t - 1]) * self.likelihood(z)
            if t < len(beta) - 1:
                draw = draws[t - 1]
                step = rule.step(t - 1, draw.jitter[0, 0])
                uniform = draw.acceptance[0, 0]
                z, accepted = self.hmc(z, draw.momentum[0, 0], uniform, float(beta[t]), step)
                rule.hear(accepted)
        return log_weight


class _ClassicRule:
    def __init__(self, initial: float, target: float) -> None:
        self._step, self._average, self._target = initial, target, target

    def step(self, index: int, jitter: Tensor) -> Tensor:  # noqa: ARG002
        return torch.tensor(self._step, dtype=torch.float64)

    def hear(self, accepted: bool) -> None:
        self._average = 0.9 * self._average + 0.1 * accepted
        self._step *= 1.02 if self._average > self._target else 0.98


class _FrozenRule:
    def __init__(self, schedule: Tensor, width: float) -> None:
        self._schedule, self._width = schedule, width

    def step(self, index: int, jitter: Tensor) -> Tensor:
        return self._schedule[index] * (1 + self._width * (2 * jitter - 1))

    def hear(self, accepted: bool) -> None:
        """Frozen."""


@pytest.mark.parametrize("mode", ["tuned", "classic"])
@pytest.mark.parametrize("direction", ["forward", "reverse"])
def test_agrees_with_the_algorithm_as_defined(
    curved_decoder: Callable[..., Any], mode: str, direction: str
) -> None:
    decoder = curved_decoder(2, 5)
    images, latent = simulate(decoder, None, VARIANCE, range(3), like=DOUBLE)
    transitions, leapfrog_steps = 25, 4
    beta = sigmoid_schedule(transitions, 4.0)
    schedule = torch.linspace(0.8, 0.4, transitions - 1, dtype=torch.float64)
    if direction == "reverse":
        beta, schedule = beta.flip(0), schedule.flip(0)
    position = latent[:, None]
    adaptive = AdaptiveStepSize(0.5, 0.65, position)
    frozen = ScheduledStepSize(schedule[:, None, None], 0.3, position)

    def draws(seeds: list[int], like: Tensor) -> Iterator[TransitionNoise]:
        return transition_noise(seeds, (Stream.FORWARD,), transitions - 1, like)

    result = anneal(
        ProposalToPosterior(decoder, images, None, VARIANCE, StandardChart()),
        position,
        beta,
        leapfrog_steps,
        adaptive if mode == "classic" else frozen,
        draws([7, 8, 9], position),
    )
    assert (result.acceptance < 0.999).all()
    for row in range(3):
        reference = _Reference(decoder, images[row], leapfrog_steps)
        rule = _ClassicRule(0.5, 0.65) if mode == "classic" else _FrozenRule(schedule, 0.3)
        own_draws = list(draws([7 + row], position[:1]))
        expected = reference.run(latent[row], beta, own_draws, rule)
        torch.testing.assert_close(result.log_weight[row, 0], expected, rtol=1e-10, atol=1e-9)


@pytest.mark.parametrize("classic", [True, False])
def test_an_image_does_not_depend_on_its_batch(
    linear_decoder: Callable[..., Any], conditional_decoder: Callable[..., Any], classic: bool
) -> None:
    decoder = conditional_decoder([linear_decoder(3, 6, seed=seed) for seed in range(4)])
    condition = torch.tensor([0, 3, 1, 2, 2])
    seeds = [11, 5, 2**62, 0, 77]
    images, latent = simulate(decoder, condition, VARIANCE, seeds, like=DOUBLE)
    settings = ClassicalSettings(transitions=20, leapfrog_steps=3)
    schedule = None if classic else torch.full((19,), 0.4).double()

    def both(rows: list[int]) -> tuple[Tensor, Tensor]:
        chosen = images[rows], condition[rows], [seeds[row] for row in rows]
        estimate = estimate_log_likelihood(
            decoder, chosen[0], chosen[1], VARIANCE, settings, chosen[2], schedule
        )
        bound = bound_log_likelihood_above(
            decoder, chosen[0], latent[rows], chosen[1], VARIANCE, settings, chosen[2], schedule
        )
        return estimate.chain_log_weights, bound

    together = both([0, 1, 2, 3, 4])
    backwards = both([4, 3, 2, 1, 0])
    for whole, flipped in zip(together, backwards, strict=True):
        torch.testing.assert_close(flipped.flip(0), whole, rtol=1e-9, atol=1e-9)
    for row in range(5):
        for whole, alone in zip(together, both([row]), strict=True):
            torch.testing.assert_close(alone[0], whole[row], rtol=1e-9, atol=1e-9)


def test_noise_does_not_depend_on_where_blocks_end(monkeypatch: pytest.MonkeyPatch) -> None:
    like = torch.zeros(2, 3, 4)
    long = list(transition_noise([1, 2], (Stream.TUNING, 3), 10, like))
    monkeypatch.setattr(noise_module, "_BLOCK_NUMBERS", 3 * like.numel())
    short = list(transition_noise([1, 2], (Stream.TUNING, 3), 10, like))
    assert len(long) == len(short) == 10
    for one, other in zip(long, short, strict=True):
        for numbers, same in zip(one, other, strict=True):
            assert torch.equal(numbers, same)
    first = np.stack([draw.momentum.numpy() for draw in long])
    assert len(np.unique(first)) == first.size


def test_a_latent_that_counts_by_its_sum_alone_has_a_density(
    linear_decoder: Callable[..., Any],
) -> None:
    # Of a sum torch gives the gradient as one number that stands for all of a latent's.
    decoder = linear_decoder(2, 4)

    class Collapsed:
        latent_dim, num_classes, image_shape = 2, 0, decoder.image_shape

        def __call__(self, latent: Tensor, condition: Tensor | None) -> Tensor:
            assert condition is None
            images: Tensor = 0.5 + 0 * latent.sum().expand(len(latent), *self.image_shape)
            return images

        def to(self, device: torch.device) -> Self:  # noqa: ARG002
            return self

    images = torch.full((1, *decoder.image_shape), 0.6, dtype=torch.float64)
    settings = ClassicalSettings(transitions=3, chains=2, leapfrog_steps=1)
    estimate = estimate_log_likelihood(Collapsed(), images, None, VARIANCE, settings, [1])
    exact = -images.numel() / 2 * (math.log(2 * math.pi * VARIANCE) + 0.01 / VARIANCE)
    assert estimate.log_likelihood.item() == pytest.approx(exact)


def test_a_non_finite_image_spoils_only_itself(linear_decoder: Callable[..., Any]) -> None:
    decoder = linear_decoder(3, 6)
    images, _ = simulate(decoder, None, VARIANCE, range(3), like=DOUBLE)
    settings = ClassicalSettings(transitions=15, leapfrog_steps=3)
    clean = estimate_log_likelihood(decoder, images, None, VARIANCE, settings, range(3))
    images[1, 0, 0, 2] = math.nan
    spoiled = estimate_log_likelihood(decoder, images, None, VARIANCE, settings, range(3))
    assert torch.isnan(spoiled.log_likelihood[1])
    for row in (0, 2):
        torch.testing.assert_close(spoiled.log_likelihood[row], clean.log_likelihood[row])


def test_sigmoid_schedule_is_the_papers() -> None:
    beta = sigmoid_schedule(500, 4.0)
    assert len(beta) == 501
    assert beta[0] == 0
    assert beta[-1] == 1
    assert (beta.diff() > 0).all()
    t = 100
    low, high = 1 / (1 + math.exp(4)), 1 / (1 + math.exp(-4))
    expected = (1 / (1 + math.exp(4 - 8 * t / 500)) - low) / (high - low)
    assert float(beta[t]) == pytest.approx(expected, abs=1e-14)
