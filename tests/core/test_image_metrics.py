"""Closed forms of the image metrics, and the papers' own pairs."""

import math

import numpy as np
import pytest
from offmanifold.core.image_metrics import (
    bits_per_dim,
    bits_per_dim_bound,
    log_likelihood_bound,
    psnr,
)
from scipy import stats


@pytest.mark.parametrize(
    ("variance", "decibels"), [(0.018, 17.4), (0.012, 19.2), (0.021, 16.8), (0.019, 17.2)]
)
def test_published_pairs_of_variance_and_psnr(variance: float, decibels: float) -> None:
    assert float(psnr(variance)) == pytest.approx(decibels, abs=0.05)


def test_published_pair_that_was_rounded() -> None:
    assert float(psnr(0.0076)) == pytest.approx(21.2, abs=0.05)


def test_psnr_is_in_decibels_and_infinite_without_an_error() -> None:
    np.testing.assert_allclose(psnr([0.1, 0.001]), [10, 30])
    assert psnr(0.0) == math.inf


def test_bits_per_dim_of_uniform_noise() -> None:
    # The uniform density on [0, 1]^D is 1: 8 bits for each 8-bit value.
    assert float(bits_per_dim(0.0, 64)) == -8
    assert float(bits_per_dim(64 * math.log(2), 64)) == -7


def test_sanity_bound_is_attained_by_a_deterministic_model() -> None:
    # A model without latent freedom that misses the image by MSE_min has exactly this density.
    variance, error, dimensions = 0.01, 0.004, 48
    log_density = -dimensions * error / (2 * variance) - dimensions / 2 * math.log(
        2 * math.pi * variance
    )
    bound = -0.5 * math.log2(2 * math.pi * variance) - error / (2 * variance * math.log(2)) - 8
    assert float(bits_per_dim(log_density, dimensions)) == pytest.approx(bound)


def test_other_bad_input_is_refused() -> None:
    with pytest.raises(ValueError, match="negative"):
        psnr([-0.1])
    with pytest.raises(ValueError, match="dimensions = 0"):
        bits_per_dim(0.0, 0)


def test_the_bound_holds_for_a_linear_generator_and_is_its_largest_conditional_density() -> None:
    rng = np.random.default_rng(1)
    weight, variance, dimensions = rng.normal(size=(12, 3)), 0.05, 12
    images = rng.normal(size=(40, 3)) @ weight.T + rng.normal(scale=0.3, size=(40, dimensions))
    # x = W z + noise: the nearest image of G is the projection on the columns of W.
    nearest = images @ np.linalg.pinv(weight).T @ weight.T
    errors = ((images - nearest) ** 2).mean(axis=1)
    bound = bits_per_dim_bound(errors, variance)
    nats = log_likelihood_bound(errors, variance, dimensions)
    np.testing.assert_allclose(bits_per_dim(nats, dimensions), bound)
    conditional = stats.norm(nearest, math.sqrt(variance)).logpdf(images).sum(axis=1)
    np.testing.assert_allclose(bound, bits_per_dim(conditional, dimensions), rtol=1e-12)
    covariance = weight @ weight.T + variance * np.eye(dimensions)
    exact = stats.multivariate_normal(np.zeros(dimensions), covariance).logpdf(images)
    assert (bits_per_dim(exact, dimensions) < bound).all()
    np.testing.assert_allclose(bits_per_dim_bound(errors.mean(), variance), bound.mean())


@pytest.mark.parametrize(("mse", "variance"), [(-0.1, 0.1), (0.1, 0.0), (0.1, math.nan)])
def test_a_bound_needs_an_error_and_a_variance(mse: float, variance: float) -> None:
    with pytest.raises(ValueError, match=r"negative|positive"):
        bits_per_dim_bound(mse, variance)
