"""The likelihood functions: simulation, tuning, tightness, and what they refuse."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from offmanifold.core.likelihood import (
    bound_log_likelihood_above,
    combine_step_sizes,
    estimate_log_likelihood,
    resample_schedule,
    simulate,
    tune_step_sizes,
)
from offmanifold.core.samplers.noise import Stream, item_normals
from offmanifold.core.samplers.schedule import sigmoid_schedule
from offmanifold.core.settings.classical import ClassicalSettings

VARIANCE = 0.01
DOUBLE = torch.empty(0).double()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("latent_dim", "dimensions", "target", "transitions"),
    [
        # A fifth of the transitions leave a little more than five times the gap.
        pytest.param(16, 784, -16.0, 100, marks=pytest.mark.ci),
        (16, 784, -3.0, 500),
        (64, 784, -6.0, 500),
        (64, 3072, -16.0, 500),
    ],
)
def test_tuned_estimates_are_tight(
    linear_decoder: Callable[..., Any],
    latent_dim: int,
    dimensions: int,
    target: float,
    transitions: int,
) -> None:
    decoder = linear_decoder(latent_dim, dimensions, dtype=torch.float32)
    settings = ClassicalSettings(transitions=transitions)
    pilot_seeds, seeds = range(100, 108), range(32)
    pilots, _ = simulate(decoder, None, VARIANCE, pilot_seeds)
    trace = tune_step_sizes(decoder, pilots, None, VARIANCE, settings, pilot_seeds)
    schedule = combine_step_sizes(trace.step_size)
    images, latent = simulate(decoder, None, VARIANCE, seeds)
    exact = decoder.log_density(images, VARIANCE)
    error = {}
    for mode, steps in (("tuned", schedule), ("classic", None)):
        arguments = (None, VARIANCE, settings, seeds, steps)
        lower = estimate_log_likelihood(decoder, images, *arguments).log_likelihood
        error[mode] = (lower - exact).mean().item()
    upper = bound_log_likelihood_above(
        decoder, images, latent, None, VARIANCE, settings, seeds, schedule
    )
    print(f"\nd {latent_dim}, D {dimensions}: mean error in nats {error}", end="")
    print(f", upper bound {(upper - exact).mean().item():+.2f}")
    # The target leaves room for twice the gap that perfectly mixing transitions would have.
    assert target / 2 < error["tuned"] < 0 < (upper - exact).mean() < -target / 2
    assert error["classic"] < error["tuned"]


# Slow where all calls are checked, which the next test is enough for.
@pytest.mark.slow
@pytest.mark.ci
def test_tuning_finds_a_quarter_oscillation(linear_decoder: Callable[..., Any]) -> None:
    # All frequencies are near w = sqrt(1 + 49 beta): ten steps of a quarter period are ideal, and
    # the pilots must come near it without being told.
    decoder = linear_decoder(8, 392, dtype=torch.float32, pixel_variance=0.01)
    settings = ClassicalSettings(transitions=100)
    pilots, _ = simulate(decoder, None, VARIANCE, range(8))
    trace = tune_step_sizes(decoder, pilots, None, VARIANCE, settings, range(8))
    torch.testing.assert_close(trace.beta, sigmoid_schedule(100, 4.0)[1:-1])
    assert trace.step_size.shape == trace.acceptance.shape == (8, 99)
    frequency = torch.sqrt(1 + 49 * trace.beta)
    phase = 10 * combine_step_sizes(trace.step_size) * frequency
    assert 0.6 * math.pi / 2 < phase.median() < 1.6 * math.pi / 2
    assert trace.acceptance.mean() > 0.9


def test_a_pilot_does_not_depend_on_its_batch(linear_decoder: Callable[..., Any]) -> None:
    decoder = linear_decoder(3, 6)
    images, _ = simulate(decoder, None, VARIANCE, range(3), like=DOUBLE)
    settings = ClassicalSettings(transitions=30, leapfrog_steps=3)
    together = tune_step_sizes(decoder, images, None, VARIANCE, settings, range(3))
    alone = tune_step_sizes(decoder, images[1:2], None, VARIANCE, settings, [1])
    torch.testing.assert_close(alone.step_size[0], together.step_size[1], rtol=1e-9, atol=0)
    torch.testing.assert_close(alone.acceptance[0], together.acceptance[1], rtol=1e-9, atol=0)


def test_combined_schedule_resists_a_stray_pilot() -> None:
    common = torch.logspace(0, -2, 99, dtype=torch.float64)
    pilots = torch.stack([common, common, 50 * common])
    combined = combine_step_sizes(pilots)
    # A moving average keeps a line, but for the path's last window.
    torch.testing.assert_close(combined[:90], common[:90], rtol=1e-9, atol=0)
    torch.testing.assert_close(combined, common, rtol=0.1, atol=0)


def test_schedules_resample_to_other_paths() -> None:
    beta = sigmoid_schedule(500, 4.0)[1:-1]
    finer = sigmoid_schedule(1000, 4.0)[1:-1]
    power_law = 0.05 * beta**-0.5
    resampled = resample_schedule(beta, power_law, finer)
    inside = (finer >= beta[0]) & (finer <= beta[-1])
    torch.testing.assert_close(resampled[inside], 0.05 * finer[inside] ** -0.5)
    assert (resampled[finer < beta[0]] == power_law[0]).all()
    torch.testing.assert_close(resample_schedule(beta, power_law, beta), power_law)


def test_simulated_images_have_the_models_moments(linear_decoder: Callable[..., Any]) -> None:
    decoder = linear_decoder(2, 3)
    count = 4000
    images, latent = simulate(decoder, None, 0.04, range(count), like=DOUBLE)
    noise = (images - decoder(latent, None)).flatten()
    for numbers, variance in ((noise, 0.04), (latent.flatten(), 1.0)):
        standard_error = math.sqrt(variance / len(numbers))
        assert abs(numbers.mean()) < 4 * standard_error
        assert numbers.var() == pytest.approx(variance, rel=4 * math.sqrt(2 / len(numbers)))


def test_chains_do_not_start_at_the_latent_that_made_the_image() -> None:
    simulated = item_normals([3], (Stream.SIMULATION,), (1, 16), DOUBLE)
    start = item_normals([3], (Stream.FORWARD,), (1, 16), DOUBLE)
    assert not torch.isclose(simulated, start).any()


def test_estimate_fields(linear_decoder: Callable[..., Any]) -> None:
    decoder = linear_decoder(3, 6)
    images, _ = simulate(decoder, None, VARIANCE, range(2), like=DOUBLE)
    settings = ClassicalSettings(transitions=20, chains=5, leapfrog_steps=3)
    estimate = estimate_log_likelihood(decoder, images, None, VARIANCE, settings, range(2))
    weights = estimate.chain_log_weights.exp()
    torch.testing.assert_close(estimate.log_likelihood, weights.mean(1).log())
    torch.testing.assert_close(
        estimate.effective_sample_size, weights.sum(1) ** 2 / weights.square().sum(1)
    )
    assert ((estimate.acceptance > 0) & (estimate.acceptance <= 1)).all()
    assert (estimate.step_size > 0).all()
    assert estimate.log_likelihood.dtype == estimate.chain_log_weights.dtype == torch.float64


def test_float32_generators_agree_with_float64(linear_decoder: Callable[..., Any]) -> None:
    # The streams of the two precisions differ, so only the exact value is common to them.
    decoder = linear_decoder(4, 8, dtype=torch.float32)
    images, _ = simulate(decoder, None, 0.1, [0])
    settings = ClassicalSettings(transitions=30, chains=4000, leapfrog_steps=3)
    schedule = torch.full((29,), 0.4).double()
    estimate = estimate_log_likelihood(decoder, images, None, 0.1, settings, [0], schedule)
    exact = decoder.log_density(images, 0.1)
    weights = (estimate.chain_log_weights - exact).exp()
    assert abs(weights.mean() - 1) < 4 * weights.std() / math.sqrt(4000)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": range(3)}, "3 seeds for 2 images"),
        ({"seeds": [-1, 2]}, "seed = -1"),
        ({"variance": 0.0}, "variance = 0.0"),
        ({"variance": math.nan}, "variance = nan"),
        ({"images": torch.zeros(2, 1, 1, 7)}, r"shape \(1, 1, 7\)"),
        ({"step_size_schedule": torch.ones(5).double()}, "resample_schedule"),
    ],
)
def test_bad_arguments_are_refused(
    linear_decoder: Callable[..., Any], change: dict[str, Any], message: str
) -> None:
    arguments = {
        "generator": linear_decoder(3, 6, dtype=torch.float32),
        "images": torch.zeros(2, 1, 1, 6),
        "condition": None,
        "variance": VARIANCE,
        "settings": ClassicalSettings(transitions=4),
        "seeds": range(2),
    }
    with pytest.raises(ValueError, match=message):
        estimate_log_likelihood(**(arguments | change))
