"""Patches, their variation and their mixture, against hand-made images and direct sums."""

import numpy as np
import pytest
from offmanifold.core.patch_mixture import (
    PatchMixture,
    fit_patch_mixture,
    patch_vectors,
)
from offmanifold.core.patches import extract_patches, local_variation, patch_grid
from offmanifold.core.settings.patch_mixture import MixtureSettings, PatchMean
from scipy.special import logsumexp
from scipy.stats import multivariate_normal


def test_what_does_not_fill_a_patch_is_cropped_evenly() -> None:
    grid = patch_grid(28, 28)
    assert (grid.rows, grid.columns, grid.top, grid.left) == (3, 3, 2, 2)
    assert grid.patches == 9
    assert grid.covered == pytest.approx(576 / 784)
    wide = patch_grid(8, 17)
    assert (wide.rows, wide.columns, wide.top, wide.left) == (1, 2, 0, 0)
    with pytest.raises(ValueError, match="7 x 30 pixels, a patch is 8 x 8"):
        patch_grid(7, 30)


def test_patches_are_the_windows_of_the_centred_grid() -> None:
    images = np.random.default_rng(0).random((2, 3, 19, 26)).astype(np.float32)
    patches = extract_patches(images)
    assert patches.shape == (2, 6, 3, 64)
    for row in range(2):
        for column in range(3):
            window = images[:, :, 1 + 8 * row : 9 + 8 * row, 1 + 8 * column : 9 + 8 * column]
            np.testing.assert_array_equal(
                patches[:, 3 * row + column], window.reshape(2, 3, 64).astype(np.float64)
            )


def test_local_variation_by_hand() -> None:
    flat = np.full((1, 3, 8, 8), 0.7, np.float32)
    flat[0, 1] = 0.2
    # Half of a patch at 0.2, half at 0.6: deviation 0.2 about a mean of 0.4.
    halves = np.full((1, 1, 8, 16), 0.2, np.float32)
    halves[..., 4:8] = 0.6
    # A deviation of 0.01 about 0.01, below the floor.
    dark = np.zeros((1, 1, 8, 8), np.float32)
    dark[..., :4] = 0.02
    assert local_variation(flat, 0.05).item() == pytest.approx(0, abs=1e-12)
    assert local_variation(halves, 0.05).item() == pytest.approx(0.25)
    assert local_variation(dark, 0.05).item() == pytest.approx(0.2)
    assert local_variation(dark, 0.001).item() == pytest.approx(1.0)
    assert local_variation(np.zeros((1, 1, 8, 8), np.float32), 0.05).item() == 0
    with pytest.raises(ValueError, match="expected a positive number"):
        local_variation(dark, 0.0)


def settings(patch_mean: PatchMean, components: int = 3, floor: float = 1e-3) -> MixtureSettings:
    return MixtureSettings(components, floor, patch_mean, iterations=20)


def images(count: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (0.5 + 0.2 * rng.standard_normal((count, 1, 17, 25))).astype(np.float32)


@pytest.mark.parametrize("patch_mean", ["kept", "removed"])
def test_log_density_is_the_direct_sum_over_patches(patch_mean: PatchMean) -> None:
    fit = fit_patch_mixture(extract_patches(images(80)), settings(patch_mean), seed=2**62)
    mixture, held_out = fit.mixture, images(5, seed=9)
    vectors = patch_vectors(extract_patches(held_out), patch_mean)
    covariances = [np.linalg.inv(p @ p.T) for p in mixture.precision_cholesky]
    by_patch = logsumexp(
        [
            np.log(weight) + multivariate_normal(mean, covariance).logpdf(vectors)
            for weight, mean, covariance in zip(
                mixture.weights, mixture.means, covariances, strict=True
            )
        ],
        axis=0,
    )
    expected = by_patch.reshape(5, 6).sum(axis=1)
    np.testing.assert_allclose(mixture.log_density(held_out), expected, rtol=1e-9)


def test_one_component_is_the_gaussian_of_the_patches() -> None:
    fitted_to = extract_patches(images(60))
    fit = fit_patch_mixture(fitted_to, settings("kept", 1, floor=0.01), seed=0)
    vectors = fitted_to.reshape(-1, 64)
    covariance = np.cov(vectors, rowvar=False, bias=True) + 0.01 * np.eye(64)
    exact = multivariate_normal(vectors.mean(axis=0), covariance)
    held_out = images(3, seed=9)
    expected = exact.logpdf(extract_patches(held_out).reshape(-1, 64)).reshape(3, 6).sum(axis=1)
    np.testing.assert_allclose(fit.mixture.log_density(held_out), expected, rtol=1e-9)
    assert fit.mean_log_density == pytest.approx(exact.logpdf(vectors).mean())
    assert fit.converged
    assert fit.patches == 360


def test_a_density_does_not_depend_on_the_batch_and_a_fit_only_on_its_seed() -> None:
    patches, held_out = extract_patches(images(80)), images(4, seed=9)
    mixtures = [fit_patch_mixture(patches, settings("kept"), seed).mixture for seed in (3, 3)]
    whole = mixtures[0].log_density(held_out)
    np.testing.assert_array_equal(whole, mixtures[1].log_density(held_out))
    alone = np.concatenate([mixtures[0].log_density(image[None]) for image in held_out])
    np.testing.assert_allclose(alone, whole, rtol=1e-12)


def test_with_the_mean_removed_brightness_does_not_count() -> None:
    fit = fit_patch_mixture(extract_patches(images(80)), settings("removed"), seed=0)
    held_out = images(4, seed=9)
    assert fit.mixture.means.shape == (3, 63)
    np.testing.assert_allclose(
        fit.mixture.log_density(held_out + 0.25), fit.mixture.log_density(held_out), rtol=1e-4
    )
    vectors = patch_vectors(extract_patches(held_out), "removed")
    centred = extract_patches(held_out).reshape(-1, 64)
    centred = centred - centred.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(vectors @ vectors.T, centred @ centred.T, atol=1e-12)


def test_a_mixture_recovers_its_own_weights() -> None:
    rng = np.random.default_rng(0)
    bright = rng.random(400) < 0.3
    levels = np.where(bright, 0.8, 0.2)[:, None, None, None]
    made = levels + 0.02 * rng.standard_normal((400, 1, 1, 64))
    fit = fit_patch_mixture(made, settings("kept", 2, floor=1e-6), seed=0)
    order = np.argsort(fit.mixture.means.mean(axis=1))
    np.testing.assert_allclose(fit.mixture.weights[order], [1 - bright.mean(), bright.mean()])
    np.testing.assert_allclose(fit.mixture.means[order].mean(axis=1), [0.2, 0.8], atol=0.001)


def test_too_few_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="2 patches are too few for 3 components"):
        fit_patch_mixture(np.zeros((2, 1, 1, 64)), settings("kept"), seed=0)


def test_images_of_other_channels_are_refused() -> None:
    fit = fit_patch_mixture(extract_patches(images(20)), settings("kept"), seed=0)
    with pytest.raises(ValueError, match="features"):
        fit.mixture.log_density(np.zeros((1, 3, 8, 8), np.float32))
    assert isinstance(fit.mixture, PatchMixture)
