"""Probabilistic PCA (Tipping and Bishop 1999): a Gaussian prior over images, in closed form."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64


@dataclass(frozen=True)
class PPCA:
    """x ~ N(mean, C), C = W W^T + s^2 I, W = U (L - s^2 I)^(1/2).

    ``components`` are U^T, orthonormal rows; ``eigenvalue`` is L, the covariance along them;
    ``noise_variance`` is s^2, the mean of the D - q eigenvalues that are left.
    """

    mean: Float64[np.ndarray, " dimensions"]
    components: Float64[np.ndarray, "q dimensions"]
    eigenvalue: Float64[np.ndarray, " q"]
    noise_variance: float

    def restore(
        self,
        observed: Float64[np.ndarray, "images measurements"],
        matrix: Float64[np.ndarray, "measurements dimensions"],
        noise: float,
    ) -> Float64[np.ndarray, "images dimensions"]:
        """E(x|y) for y = M x + e, e ~ N(0, noise^2 I): the MAP as well, since all is Gaussian.

        mean + C M^T (M C M^T + noise^2 I)^-1 (y - M mean). Values may leave [0, 1].
        """
        weights = np.sqrt(self.eigenvalue - self.noise_variance)[:, None] * self.components
        measured = matrix @ weights.T
        covariance = measured @ measured.T + self.noise_variance * (matrix @ matrix.T)
        covariance[np.diag_indices_from(covariance)] += noise**2
        solved = np.linalg.solve(covariance, (observed - matrix @ self.mean).T).T
        along = (solved @ measured) @ weights
        restored: np.ndarray = self.mean + along + self.noise_variance * (solved @ matrix)
        return restored


def fit_ppca(images: Float[np.ndarray, "images dimensions"], components: int) -> PPCA:
    """The maximum-likelihood fit with q ``components``; covariances divide by N - 1.

    scikit-learn's PCA chooses the solver; where that is a randomised one, it is seeded. Its noise
    variance averages over min(N, D) - q eigenvalues, which is Tipping and Bishop's D - q as long as
    there are no fewer images than values; below that the eigenvalues that are 0 count here.

    Raises:
        ValueError: unless 1 <= components < min(N, D).
    """
    number, dimensions = images.shape
    if not 1 <= components < min(number, dimensions):
        raise ValueError(
            f"{components} components from {number} images of {dimensions} values: choose at "
            f"least 1 and fewer than {min(number, dimensions)}"
        )
    # Half a second, which not every command that knows the audit has to wait for.
    from sklearn.decomposition import PCA

    fitted = PCA(components, random_state=0).fit(images.astype(np.float64))
    share = (min(number, dimensions) - components) / (dimensions - components)
    return PPCA(
        mean=fitted.mean_,
        components=fitted.components_,
        eigenvalue=fitted.explained_variance_,
        noise_variance=float(fitted.noise_variance_) * share,
    )
