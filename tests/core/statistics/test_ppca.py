"""Probabilistic PCA against its latent variables, the joint Gaussian and scikit-learn."""

import numpy as np
import pytest
from offmanifold.core.statistics.ppca import PPCA, fit_ppca
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

IMAGES = load_digits().data / 16
NOISE = 0.01


def covariance(fitted: PPCA) -> np.ndarray:
    weights = fitted.components.T * np.sqrt(fitted.eigenvalue - fitted.noise_variance)
    return np.asarray(weights @ weights.T + fitted.noise_variance * np.eye(len(fitted.mean)))


def problem(measurements: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(measurements)
    matrix = rng.normal(0, 1 / np.sqrt(measurements), (measurements, 64))
    return matrix, IMAGES[:7] @ matrix.T + rng.normal(0, NOISE, (7, measurements))


def test_the_covariance_is_scikit_learns() -> None:
    fitted = fit_ppca(IMAGES, 20)
    reference = PCA(20, svd_solver="full").fit(IMAGES)
    np.testing.assert_allclose(covariance(fitted), reference.get_covariance(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(fitted.noise_variance, reference.noise_variance_, rtol=1e-10)
    assert np.trace(covariance(fitted)) == pytest.approx(IMAGES.var(axis=0, ddof=1).sum())


def test_fewer_images_than_values_spread_the_noise_over_all_that_is_left() -> None:
    fitted = fit_ppca(IMAGES[:30], 10)
    eigenvalues = np.linalg.eigvalsh(np.cov(IMAGES[:30].T))[::-1]
    assert fitted.noise_variance == pytest.approx(eigenvalues[10:].mean())
    assert np.trace(covariance(fitted)) == pytest.approx(eigenvalues.sum())


@pytest.mark.parametrize("measurements", [1, 8, 64])
def test_restoration_is_the_conditional_mean_of_the_joint_gaussian(measurements: int) -> None:
    fitted = fit_ppca(IMAGES, 20)
    matrix, observed = problem(measurements)
    # Precision of (x, y) jointly: its blocks give E(x|y) without ever forming Cov(y).
    precision = np.linalg.inv(covariance(fitted)) + matrix.T @ matrix / NOISE**2
    shift = (observed - matrix @ fitted.mean) @ matrix / NOISE**2
    expected = fitted.mean + np.linalg.solve(precision, shift.T).T
    found = fitted.restore(observed, matrix, NOISE)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9)


def test_restoration_is_the_posterior_mean_of_the_latent_variables() -> None:
    fitted = fit_ppca(IMAGES, 20)
    matrix, observed = problem(16)
    # x = mean + W t + s u with t, u standard normal: ridge regression on (t, u).
    weights = fitted.components.T * np.sqrt(fitted.eigenvalue - fitted.noise_variance)
    factor = np.hstack([weights, np.sqrt(fitted.noise_variance) * np.eye(64)])
    seen = matrix @ factor
    normal = seen.T @ seen + NOISE**2 * np.eye(84)
    latent = np.linalg.solve(normal, seen.T @ (observed - matrix @ fitted.mean).T)
    expected = fitted.mean + (factor @ latent).T
    np.testing.assert_allclose(fitted.restore(observed, matrix, NOISE), expected, rtol=0, atol=1e-8)


def test_all_measurements_give_the_image_back() -> None:
    matrix, _ = problem(64)
    restored = fit_ppca(IMAGES, 20).restore(IMAGES[:7] @ matrix.T, matrix, 1e-6)
    np.testing.assert_allclose(restored, IMAGES[:7], rtol=0, atol=1e-4)


def test_a_better_prior_than_none() -> None:
    fitted = fit_ppca(IMAGES[100:], 20)
    matrix, observed = problem(32)
    least_norm = observed @ np.linalg.pinv(matrix).T
    error, plain = (
        np.square(each - IMAGES[:7]).mean()
        for each in (fitted.restore(observed, matrix, NOISE), least_norm)
    )
    assert error < 0.2 * plain


@pytest.mark.parametrize("components", [0, 64, 100])
def test_components_that_leave_no_noise_are_refused(components: int) -> None:
    with pytest.raises(ValueError, match="fewer than 64"):
        fit_ppca(IMAGES, components)
