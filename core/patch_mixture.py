"""A Gaussian mixture of small image patches: Friedman and Weiss's patch-GMM [HU 3].

After Zoran and Weiss (2011), who model 8x8 patches of natural images by a mixture of Gaussians with
full covariances. An image's density is that of its patches, taken as independent.
"""

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64
from scipy.linalg import helmert

from .patches import extract_patches
from .settings.patch_mixture import MixtureSettings, PatchMean

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture


@dataclass(frozen=True)
class PatchMixture:
    """A fitted mixture: ``precision_cholesky`` P has inverse covariance P Pᵀ."""

    weights: Float64[np.ndarray, " components"]
    means: Float64[np.ndarray, "components dimensions"]
    precision_cholesky: Float64[np.ndarray, "components dimensions dimensions"]
    patch_mean: PatchMean

    def log_density(
        self, images: Float[np.ndarray, "images channels height width"]
    ) -> Float64[np.ndarray, " images"]:
        """Sum over an image's patches of ln Σ_k π_k N(patch; μ_k, Σ_k), in nats.

        Raises:
            ValueError: images without room for one patch, or of other channels than those fitted.
        """
        patches = extract_patches(images)
        vectors = patch_vectors(patches, self.patch_mean)
        by_patch = self._estimator().score_samples(vectors)
        total: np.ndarray = by_patch.reshape(patches.shape[:2]).sum(axis=1)
        return total

    def _estimator(self) -> "GaussianMixture":
        # Here, not above: it takes a second, and a worker of other stages has no use for it.
        from sklearn.mixture import GaussianMixture

        mixture = GaussianMixture(len(self.weights), covariance_type="full")
        mixture.weights_ = self.weights
        mixture.means_ = self.means
        mixture.precisions_cholesky_ = self.precision_cholesky
        mixture.n_features_in_ = self.means.shape[1]
        return mixture


@dataclass(frozen=True)
class MixtureFit:
    """A mixture with what its fit came to; ``mean_log_density`` is per patch of the fit, nats."""

    mixture: PatchMixture
    patches: int
    iterations: int
    converged: bool
    mean_log_density: float


def fit_patch_mixture(
    patches: Float64[np.ndarray, "images patches channels pixels"],
    settings: MixtureSettings,
    seed: int,
) -> MixtureFit:
    """Fits a mixture to all patches by expectation maximisation, from k-means.

    A fit that has not converged after ``iterations`` is returned as it is, and says so.

    Raises:
        ValueError: fewer patches than components.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    vectors = patch_vectors(patches, settings.patch_mean)
    if len(vectors) < settings.components:
        raise ValueError(
            f"{len(vectors)} patches are too few for {settings.components} components; give more "
            "images or ask for fewer components"
        )
    estimator = GaussianMixture(
        settings.components,
        covariance_type="full",
        reg_covar=settings.covariance_floor,
        max_iter=settings.iterations,
        random_state=seed % 2**32,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        estimator.fit(vectors)
    mixture = PatchMixture(
        estimator.weights_, estimator.means_, estimator.precisions_cholesky_, settings.patch_mean
    )
    return MixtureFit(
        mixture,
        len(vectors),
        estimator.n_iter_,
        bool(estimator.converged_),
        float(estimator.score(vectors)),
    )


def patch_vectors(
    patches: Float64[np.ndarray, "images patches channels pixels"], patch_mean: PatchMean
) -> Float64[np.ndarray, "vectors dimensions"]:
    """Patches as vectors of channels x pixels values, or of one less with the mean removed.

    Then they are the coordinates in an orthonormal basis of the patches whose mean is 0, so that
    densities of them are densities in that space.
    """
    vectors: np.ndarray = patches.reshape(-1, patches.shape[2] * patches.shape[3])
    if patch_mean == "kept":
        return vectors
    dimensions = vectors.shape[1]
    # Helmert's matrix without its constant row: its rows are orthonormal and sum to 0.
    removed: np.ndarray = vectors @ helmert(dimensions).T
    return removed
