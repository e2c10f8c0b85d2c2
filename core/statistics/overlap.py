"""How much two rankings of the same images agree at their top."""

import numpy as np
from jaxtyping import Float64

TOP = 20


def top_size(n: int) -> int:
    """How many of ``n`` images the lists hold: 20 [HU Fig. 3], at most half, so that they can miss.

    Raises:
        ValueError: fewer than 2 images.
    """
    if n < 2:
        raise ValueError(f"{n} images: top lists need at least 2")
    return min(TOP, n // 2)


def top_indices(scores: np.ndarray, size: int) -> np.ndarray:
    """Positions of the ``size`` highest scores over the last axis; of equal ones the first."""
    order: np.ndarray = np.argsort(-scores, axis=-1, kind="stable")[..., :size]
    return order


def top_overlap(
    first: Float64[np.ndarray, " images"], second: Float64[np.ndarray, " images"]
) -> float:
    """Share of the images with the highest ``first`` that are among those with the highest second.

    Lists of :func:`top_size` images; unrelated rankings share size/n on average. There is no
    interval: whether an image is in a list depends on all others, and a resample holds images
    twice, which both lists then share.

    Raises:
        ValueError: fewer than 2 images, or a score that is nan.
    """
    if np.isnan(first).any() or np.isnan(second).any():
        raise ValueError("a score is nan: leave failed images out first")
    size = top_size(len(first))
    shared = np.intersect1d(top_indices(first, size), top_indices(second, size))
    return len(shared) / size
