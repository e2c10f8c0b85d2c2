"""The observation variance: held against the maximum of exact marginal likelihoods."""

import math

import numpy as np
import pytest
import torch
from offmanifold.core.likelihood import simulate
from offmanifold.core.observation_variance import (
    FittedVariance,
    fit_variance,
    leaves_nothing,
    profile_variance,
    variance_curves,
    variance_grid,
)
from scipy import optimize

from tests.core.conftest import CurvedDecoder, LinearDecoder

TRUE_VARIANCE = 0.01


def _fit(
    decoder: LinearDecoder | CurvedDecoder, images: torch.Tensor, latent: torch.Tensor
) -> tuple[FittedVariance, FittedVariance]:
    """The marginal fit and the profile one, both from reconstructions near the true latents."""
    sharp = variance_curves(decoder, images, None, latent[:, None], [1e-8])
    dimensions = math.prod(decoder.image_shape)
    profile = profile_variance(sharp.residual[:, 0].numpy() / dimensions)
    grid = variance_grid(profile.variance, decoder.latent_dim, dimensions)
    curves = variance_curves(decoder, images, None, latent[:, None], grid)
    fitted = fit_variance(
        np.array(grid), curves.residual.numpy(), curves.degrees.numpy(), dimensions
    )
    return fitted, profile


def _most_likely(decoder: LinearDecoder | CurvedDecoder, images: torch.Tensor) -> float:
    def negative(log_variance: float) -> float:
        return -float(decoder.log_density(images, math.exp(log_variance)).sum())

    found = optimize.minimize_scalar(
        negative, bounds=(math.log(1e-3), math.log(1e-1)), method="bounded"
    )
    return math.exp(found.x)


@pytest.mark.parametrize(("latent_dim", "dimensions"), [(4, 64), (32, 96), (48, 64)])
def test_it_is_the_maximum_of_the_marginal_likelihood_of_a_linear_generator(
    latent_dim: int, dimensions: int
) -> None:
    decoder = LinearDecoder(latent_dim, dimensions)
    images, latent = simulate(decoder, None, TRUE_VARIANCE, range(40), torch.empty(0).double())
    fitted, profile = _fit(decoder, images, latent)
    # What is left is interpolation between variances that differ by a factor of two.
    assert fitted.variance == pytest.approx(_most_likely(decoder, images), rel=2e-3)
    assert profile.variance == pytest.approx(
        fitted.variance * (1 - latent_dim / dimensions), rel=0.15
    )


def test_it_is_near_the_maximum_of_a_curved_generator() -> None:
    decoder = CurvedDecoder(1, 20)
    images, latent = simulate(decoder, None, TRUE_VARIANCE, range(60), torch.empty(0).double())
    fitted, _ = _fit(decoder, images, latent)
    # Laplace's approximation: the curvature of a wave of this frequency costs it a few percent.
    assert fitted.variance == pytest.approx(_most_likely(decoder, images), rel=0.05)


def test_its_interval_has_its_coverage() -> None:
    decoder, inside, rounds = LinearDecoder(8, 64), 0, 200
    grid = np.array(variance_grid(TRUE_VARIANCE * (1 - 8 / 64), 8, 64))
    for round_ in range(rounds):
        seeds = range(24 * round_, 24 * (round_ + 1))
        images, _ = simulate(decoder, None, TRUE_VARIANCE, seeds, torch.empty(0).double())
        curves = _linear_curves(decoder, images, grid)
        fitted = fit_variance(grid, *curves, 64)
        inside += fitted.low <= TRUE_VARIANCE <= fitted.high
    # 95%, within four standard errors of 200 rounds.
    assert inside / rounds == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / rounds))


def _linear_curves(
    decoder: LinearDecoder, images: torch.Tensor, grid: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The curves in closed form, for speed."""
    centred = (images.flatten(1) - 0.5).numpy()
    left, singular, _ = np.linalg.svd(decoder.weight.numpy(), full_matrices=False)
    along = (centred @ left) ** 2
    beyond = (centred**2).sum(1) - along.sum(1)
    residual, degrees = [], []
    for variance in grid:
        shrink = singular**2 / (singular**2 + variance)
        residual.append(beyond + (along * (1 - shrink) ** 2).sum(1))
        degrees.append(np.full(len(images), shrink.sum()))
    return np.stack(residual, 1), np.stack(degrees, 1)


def test_the_closed_curves_are_those_that_are_followed() -> None:
    decoder = LinearDecoder(8, 64)
    images, latent = simulate(decoder, None, TRUE_VARIANCE, range(5), torch.empty(0).double())
    grid = variance_grid(TRUE_VARIANCE, 8, 64)
    curves = variance_curves(decoder, images, None, latent[:, None], grid)
    residual, degrees = _linear_curves(decoder, images, np.array(grid))
    np.testing.assert_allclose(curves.residual.numpy(), residual, rtol=1e-6)
    np.testing.assert_allclose(curves.degrees.numpy(), degrees, rtol=1e-6)


def test_the_profile_variance_maximises_the_profile_likelihood() -> None:
    errors, dimensions = np.array([0.01, 0.03, 0.002]), 20

    def log_likelihood(value: float) -> float:
        total, count = dimensions * errors.sum(), dimensions * len(errors)
        return float(-total / (2 * value) - 0.5 * count * math.log(2 * math.pi * value))

    found = profile_variance(errors).variance
    assert found == pytest.approx(0.014)
    assert log_likelihood(found) > log_likelihood(found * 1.01)
    assert log_likelihood(found) > log_likelihood(found * 0.99)


@pytest.mark.parametrize("errors", [[], [0.0, 0.0], [math.nan] * 2, [math.inf] * 2])
def test_no_profile_variance_without_finite_positive_errors(errors: list[float]) -> None:
    with pytest.raises(ValueError, match="positive, finite mean"):
        profile_variance(np.array(errors))


def test_what_no_variance_explains_is_refused() -> None:
    grid = np.array(variance_grid(TRUE_VARIANCE, 8, 64))
    nothing = np.zeros((4, len(grid)))
    with pytest.raises(ValueError, match=r"to the last digit.*: give a variance with"):
        fit_variance(grid, nothing, nothing, 64)
    with pytest.raises(ValueError, match=r"no variance between .*: give a variance with"):
        fit_variance(grid, nothing + 1e9, nothing, 64)
    with pytest.raises(ValueError, match="no image was inverted"):
        fit_variance(grid, nothing[:0], nothing[:0], 64)
    with pytest.raises(ValueError, match="no variance"):
        variance_grid(math.inf, 8, 64)


def test_one_image_gives_a_variance_without_an_interval() -> None:
    found = profile_variance(np.array([0.1]))
    assert found.variance == pytest.approx(0.1)
    assert np.isnan([found.low, found.high, found.log_standard_error]).all()


def test_images_that_come_back_to_the_last_digit_leave_nothing() -> None:
    grid = np.array(variance_grid(TRUE_VARIANCE, 8, 64))
    degrees = np.full((4, len(grid)), 8.0)
    exact = np.full((4, len(grid)), 64 * TRUE_VARIANCE / 1e4)
    assert leaves_nothing(grid, exact, degrees, 64)
    # Their residuals are those of noise: then a fixed point lies within the grid.
    assert not leaves_nothing(grid, np.full_like(exact, 64 * TRUE_VARIANCE), degrees, 64)
    # One that is above the whole grid is no reason to say so either.
    assert not leaves_nothing(grid, exact * 1e8, degrees, 64)
