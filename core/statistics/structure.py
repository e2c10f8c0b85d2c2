"""Are residuals noise? Those of different images have nothing in common if they are."""

import numpy as np
from jaxtyping import Float64

from ..settings.statistics import MINIMUM_RESAMPLES


def common_structure(residuals: Float64[np.ndarray, "images values"]) -> float:
    """Mean squared cosine between the residuals of two different images.

    About 1 / K for white noise of K values; more where residuals share directions, as they do when
    a generator lacks something that all the data have.

    Raises:
        ValueError: fewer than two residuals.
    """
    if len(residuals) < 2:
        raise ValueError(f"{len(residuals)} residuals: at least two are needed")
    return float(_mean_of_pairs(_squared_cosines(residuals), np.ones((1, len(residuals))))[0])


def compare_structure(
    first: Float64[np.ndarray, "first values"],
    second: Float64[np.ndarray, "second values"],
    seed: int,
    *,
    sets: int = MINIMUM_RESAMPLES,
) -> float:
    """P-value of the first group's residuals having no more in common than the second's.

    A permutation test of the difference of `common_structure`, one-sided: exact where both groups'
    residuals have one distribution.

    Raises:
        ValueError: fewer than two residuals in a group.
    """
    for name, residuals in (("first", first), ("second", second)):
        if len(residuals) < 2:
            raise ValueError(f"{name} holds {len(residuals)} residuals: at least two are needed")
    squares = _squared_cosines(np.concatenate([first, second]))
    observed = np.concatenate([np.ones(len(first)), np.zeros(len(second))])[None]
    drawn = np.random.default_rng(seed).permuted(np.repeat(observed, sets, axis=0), axis=1)
    both = np.concatenate([observed, drawn])
    difference = _mean_of_pairs(squares, both) - _mean_of_pairs(squares, 1 - both)
    return float(np.mean(difference >= difference[0] - 1e-12))


def _squared_cosines(residuals: np.ndarray) -> np.ndarray:
    """Those of all pairs; 0 on the diagonal, and for a residual that is nothing."""
    length = np.linalg.norm(residuals, axis=1, keepdims=True)
    unit = residuals / np.where(length > 0, length, 1)
    squares: np.ndarray = (unit @ unit.T) ** 2
    np.fill_diagonal(squares, 0)
    return squares


def _mean_of_pairs(squares: np.ndarray, members: np.ndarray) -> np.ndarray:
    """Mean over the pairs of each set; ``members`` [sets, images] are 1 for an image that is in."""
    count = members.sum(axis=1)
    mean: np.ndarray = np.sum((members @ squares) * members, axis=1) / (count * (count - 1))
    return mean
