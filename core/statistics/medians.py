"""Intervals of medians, and of ratios of medians of two groups."""

import numpy as np
from jaxtyping import Float64
from scipy import stats

from .interval import CONFIDENCE, Interval, check_confidence, check_sample


def median_interval(
    values: Float64[np.ndarray, " images"], *, failed: int = 0, confidence: float = CONFIDENCE
) -> Interval:
    """Median with the interpolated order-statistic interval of Hettmansperger and Sheather (1986).

    The d-th lowest and d-th highest value hold the median with a chance that only the binomial
    decides; between the two d around ``confidence`` their rule interpolates. It holds within 1.5
    points from 16 images on whatever the values' distribution; equal values make it wider.

    ``failed`` images have no value: the interval then runs from the lower bound with all of them
    below every value to the upper bound with all of them above. The bounds are nan where fewer
    than 6 images cannot hold the median at 95%, or where so many failed that a bound is infinite.

    Raises:
        ValueError: no values, or a value that is nan.
    """
    check_sample("values", values)
    check_confidence(confidence)
    low, _ = _bounds(_with_failed(values, failed, -np.inf), confidence)
    _, high = _bounds(_with_failed(values, failed, np.inf), confidence)
    if not np.isfinite([low, high]).all():
        low = high = np.nan
    return Interval(float(np.median(values)), low, high, len(values))


def median_ratio_interval(
    first: Float64[np.ndarray, " first_images"],
    second: Float64[np.ndarray, " second_images"],
    *,
    failed_first: int = 0,
    failed_second: int = 0,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Median of ``first`` over that of ``second``, both of values that are not negative.

    Both medians' intervals, on the scale of logarithms, combined by MOVER (Zou and Donner 2008,
    eq. 3): the lower bound lies sqrt((m1 - l1)^2 + (u2 - m2)^2) below m1 - m2. Failed images are
    taken as either 0 or infinite, whichever is worse, as in :func:`median_interval`. ``n`` counts
    the images of ``first``.

    The value is nan or infinite where the second median is 0; the bounds are nan there, and where
    a median has no interval or a bound would be infinite.

    Raises:
        ValueError: an empty group, or a value that is nan or negative.
    """
    for name, values in (("first", first), ("second", second)):
        check_sample(name, values)
        if (values < 0).any():
            raise ValueError(f"{name} holds a negative value: errors cannot be negative")
    check_confidence(confidence)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = float(np.median(first) / np.median(second))
        least_first, most_first = (_with_failed(first, failed_first, at) for at in (0.0, np.inf))
        least_second, most_second = (
            _with_failed(second, failed_second, at) for at in (0.0, np.inf)
        )
        low = float(np.exp(_mover(least_first, most_second, confidence)))
        # The upper bound is one over the lower one of the ratio turned round.
        high = float(np.exp(-_mover(least_second, most_first, confidence)))
    if not np.isfinite([value, low, high]).all():
        low = high = np.nan
    return Interval(value, low, high, len(first))


def _mover(first: np.ndarray, second: np.ndarray, confidence: float) -> float:
    """Lower bound of the difference of the logarithms of two medians."""
    centre = np.log(np.median(first)), np.log(np.median(second))
    low = np.log(_bounds(first, confidence)[0])
    high = np.log(_bounds(second, confidence)[1])
    return float(centre[0] - centre[1] - np.hypot(centre[0] - low, high - centre[1]))


def _with_failed(values: np.ndarray, failed: int, at: float) -> np.ndarray:
    return np.concatenate([values, np.full(failed, at)])


def _bounds(values: np.ndarray, confidence: float) -> tuple[float, float]:
    n, ordered = len(values), np.sort(values)
    # The chance that the median lies between the d-th lowest and the d-th highest value.
    held = 1 - 2 * stats.binom.cdf(np.arange(n // 2), n, 0.5)
    depth = int(np.sum(held >= confidence))
    if depth == 0:
        return np.nan, np.nan
    if depth == len(held):
        return float(ordered[depth - 1]), float(ordered[n - depth])
    share = (held[depth - 1] - confidence) / (held[depth - 1] - held[depth])
    weight = (n - depth) * share / (depth + (n - 2 * depth) * share)
    return (
        _between(ordered[depth - 1], ordered[depth], weight),
        _between(ordered[n - depth], ordered[n - depth - 1], weight),
    )


def _between(outer: float, inner: float, weight: float) -> float:
    # Infinite values stand for failed images: nothing lies between them and the others.
    return float(outer) if np.isinf(outer) else float((1 - weight) * outer + weight * inner)
