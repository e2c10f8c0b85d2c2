"""Distances between two sets of feature vectors as wholes: Frechet's, the kernel distance."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

_ROWS = 2048


@dataclass(frozen=True)
class Moments:
    """The mean and the covariance (dividing by N - 1) of ``n`` feature vectors."""

    n: int
    mean: Float64[np.ndarray, " features"]
    covariance: Float64[np.ndarray, "features features"]


def moments(vectors: Float[np.ndarray, "images features"]) -> Moments:
    """Both summed in float64, block by block, about a first mean.

    Raises:
        ValueError: fewer than two vectors.
    """
    n = len(vectors)
    if n < 2:
        raise ValueError(f"{n} images: a covariance needs at least 2")
    mean = vectors.mean(axis=0, dtype=np.float64)
    total = np.zeros((len(mean), len(mean)))
    for start in range(0, n, _ROWS):
        centred = vectors[start : start + _ROWS] - mean
        total += centred.T @ centred
    return Moments(n, mean, total / (n - 1))


def frechet_distance(first: Moments, second: Moments) -> float:
    """|m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)): FID (Heusel et al. 2017, Eq. 6) on features.

    The trace of the root is the sum of the roots of the eigenvalues of C1^(1/2) C2 C1^(1/2), which
    are real and not negative. It is biased upwards by about a constant over N: compare values of
    equal N, and with that of real images against real ones.
    """
    value, basis = np.linalg.eigh(first.covariance)
    root = (basis * np.sqrt(np.clip(value, 0, None))) @ basis.T
    product = np.linalg.eigvalsh(root @ second.covariance @ root)
    overlap = float(np.sqrt(np.clip(product, 0, None)).sum())
    difference = first.mean - second.mean
    traces = float(np.trace(first.covariance) + np.trace(second.covariance))
    return float(difference @ difference) + traces - 2 * overlap


def kernel_distance(
    first: Float[np.ndarray, "n features"], second: Float[np.ndarray, "m features"]
) -> float:
    """KID (Binkowski et al. 2018, Eq. 4): the unbiased squared MMD with (x.y / d + 1)^3.

    Of all images at once, not averaged over subsets; around 0 for equal laws, and then as often
    below it.

    Raises:
        ValueError: fewer than two vectors in a set.
    """
    n, m = len(first), len(second)
    if min(n, m) < 2:
        raise ValueError(f"{n} and {m} images: the kernel distance needs at least 2 of each")
    within = (_kernel_sum(first, first) - _own(first)) / (n * (n - 1))
    without = (_kernel_sum(second, second) - _own(second)) / (m * (m - 1))
    return within + without - 2 * _kernel_sum(first, second) / (n * m)


def _kernel_sum(first: np.ndarray, second: np.ndarray) -> float:
    total = 0.0
    for start in range(0, len(first), _ROWS):
        rows = first[start : start + _ROWS].astype(np.float64)
        for other in range(0, len(second), _ROWS):
            columns = second[other : other + _ROWS].astype(np.float64)
            total += float(((rows @ columns.T / first.shape[1] + 1) ** 3).sum())
    return total


def _own(vectors: np.ndarray) -> float:
    squared = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return float(((squared / vectors.shape[1] + 1) ** 3).sum())
