"""The ratio of two means of values that are never negative, with an interval."""

import numpy as np
from jaxtyping import Float64

from ..settings.statistics import MINIMUM_RESAMPLES
from .interval import CONFIDENCE, Interval
from .means import mean_interval

# Of fewer values above 0 on either side no interval that was tried holds.
FEWEST_POSITIVE = 16


def mean_ratio_interval(
    first: Float64[np.ndarray, " first_images"],
    second: Float64[np.ndarray, " second_images"],
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Mean of ``first`` over that of ``second``, groups of different images.

    The bounds are recovered from those of either mean (Donner and Zou 2012, "Closed-form confidence
    intervals for functions of the normal mean and standard deviation", MOVER-R), which are
    :func:`mean_interval`'s and so hold for skewed values. They are nan where either side has fewer
    than `FEWEST_POSITIVE` values above 0, or no interval of its mean. The ratio is nan where the
    second mean is 0. ``n`` counts the images of ``first``.

    Raises:
        ValueError: an empty group, a value that is nan or below 0, or too few resamples.
    """
    for name, values in (("first", first), ("second", second)):
        if (values < 0).any():
            raise ValueError(f"{name} holds a value below 0: a ratio of means needs none")
    seeds = np.random.default_rng(seed).integers(0, 2**62, 2).tolist()
    top, bottom = (
        mean_interval(values, each, resamples=resamples, confidence=confidence)
        for values, each in zip((first, second), seeds, strict=True)
    )
    value = top.value / bottom.value if bottom.value > 0 else float("nan")
    enough = all(np.count_nonzero(values) >= FEWEST_POSITIVE for values in (first, second))
    low, high = _bounds(top, bottom) if enough else (np.nan, np.nan)
    return Interval(value, low, high, top.n)


def _bounds(top: Interval, bottom: Interval) -> tuple[float, float]:
    low_1, high_1 = max(top.low, 0.0), top.high
    low_2, high_2 = max(bottom.low, 0.0), bottom.high
    if not (np.isfinite([low_1, high_1, low_2, high_2]).all() and low_2 > 0):
        return np.nan, np.nan
    product = top.value * bottom.value
    low = low_1 / high_2
    if (turned := 2 * bottom.value - high_2) > 0:
        root = product**2 - low_1 * high_2 * (2 * top.value - low_1) * turned
        low = (product - np.sqrt(max(root, 0.0))) / (high_2 * turned)
    high = high_1 / low_2
    if (turned := 2 * top.value - high_1) > 0:
        root = product**2 - high_1 * low_2 * turned * (2 * bottom.value - low_2)
        high = (product + np.sqrt(max(root, 0.0))) / (low_2 * (2 * bottom.value - low_2))
    return float(max(low, 0.0)), float(high)
