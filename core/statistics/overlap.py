"""How much two rankings of the same images agree at their top."""

import numpy as np
from jaxtyping import Float64

from .bootstrap import MINIMUM_RESAMPLES, Interval, resampled_indices

TOP = 20


def top_size(n: int) -> int:
    """How many of ``n`` images the lists hold: 20 [HU Fig. 3], at most half, so that they can miss.

    Raises:
        ValueError: fewer than 2 images.
    """
    if n < 2:
        raise ValueError(f"{n} images: lists of the highest ones need 2")
    return min(TOP, n // 2)


def top_indices(scores: np.ndarray, size: int) -> np.ndarray:
    """Positions of the ``size`` highest scores over the last axis; of equal ones the first."""
    order: np.ndarray = np.argsort(-scores, axis=-1, kind="stable")[..., :size]
    return order


def top_overlap(
    first: Float64[np.ndarray, " images"],
    second: Float64[np.ndarray, " images"],
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """Share of the images with the highest ``first`` that are among those with the highest second.

    Lists of :func:`top_size` images; unrelated rankings share size/n on average. Percentile
    bootstrap over images.

    Raises:
        ValueError: fewer than 2 images, or a score that is nan.
    """
    if np.isnan(first).any() or np.isnan(second).any():
        raise ValueError("a score is nan: leave failed images out first")
    n = len(first)
    size = top_size(n)
    value = float(_shares(first[None], second[None], size)[0])
    replicates = np.concatenate(
        [
            _shares(first[block], second[block], size)
            for block in resampled_indices(np.random.default_rng(seed), n, resamples)
        ]
    )
    low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), n)


def _shares(first: np.ndarray, second: np.ndarray, size: int) -> np.ndarray:
    chosen = []
    for scores in (first, second):
        mask = np.zeros(scores.shape, dtype=bool)
        np.put_along_axis(mask, top_indices(scores, size), values=True, axis=-1)
        chosen.append(mask)
    shares: np.ndarray = (chosen[0] & chosen[1]).sum(axis=-1) / size
    return shares
