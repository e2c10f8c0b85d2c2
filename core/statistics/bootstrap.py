"""Bootstrap intervals over images: one sample, strata, two samples; percentile or BCa."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int64, Shaped
from scipy import stats

Method = Literal["percentile", "bca"]
# Reduces the last axis: [..., n] -> [...].
Statistic = Callable[[np.ndarray], np.ndarray]
TwoSampleStatistic = Callable[[np.ndarray, np.ndarray], np.ndarray]

MINIMUM_RESAMPLES = 2000
_BLOCK_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate from ``n`` images with its confidence interval.

    ``low`` and ``high`` are nan where one image alone gives no interval.
    """

    value: float
    low: float
    high: float
    n: int


def bootstrap_interval(
    values: Float64[np.ndarray, " images"],
    statistic: Statistic,
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = 0.95,
    method: Method = "percentile",
    strata: Int64[np.ndarray, " images"] | None = None,
) -> Interval:
    """Interval of ``statistic(values)`` by resampling images (Efron and Tibshirani 1993, 13-14).

    ``statistic`` reduces the last axis, so that all resamples go through it at once. With
    ``strata`` every stratum keeps its size in each resample. ``bca`` corrects the bias and the
    acceleration of the percentile interval by the jackknife.

    Raises:
        ValueError: no values, a value that is nan, or too few resamples.
    """
    _check_sample("values", values)
    _check_settings(resamples, confidence)
    value = float(statistic(values))
    n = len(values)
    if n == 1:
        return Interval(value, np.nan, np.nan, n)
    rng = np.random.default_rng(seed)
    blocks = [
        statistic(values[index]) for index in resampled_indices(rng, n, resamples, strata=strata)
    ]
    replicates = np.concatenate(blocks)
    levels = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
    if method == "bca":
        levels = _bca_levels(values, statistic, value, replicates, levels)
    low, high = np.quantile(replicates, levels)
    return Interval(value, float(low), float(high), n)


def two_sample_interval(
    first: Float64[np.ndarray, " first_images"],
    second: Float64[np.ndarray, " second_images"],
    statistic: TwoSampleStatistic,
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = 0.95,
) -> Interval:
    """Percentile interval of ``statistic(first, second)``, both groups resampled independently.

    ``n`` of the result counts the images of ``first``.

    Raises:
        ValueError: an empty group, a value that is nan, or too few resamples.
    """
    _check_sample("first", first)
    _check_sample("second", second)
    _check_settings(resamples, confidence)
    value = float(statistic(first, second))
    if min(len(first), len(second)) == 1:
        return Interval(value, np.nan, np.nan, len(first))
    rng_first, rng_second = np.random.default_rng(seed).spawn(2)
    larger = max(len(first), len(second))
    pairs = zip(
        resampled_indices(rng_first, len(first), resamples, width=larger),
        resampled_indices(rng_second, len(second), resamples, width=larger),
        strict=True,
    )
    replicates = np.concatenate([statistic(first[a], second[b]) for a, b in pairs])
    low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), len(first))


def exact_binomial_bounds(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Clopper and Pearson (1934) bounds on a proportion: valid also at 0 and n successes.

    The bootstrap of a sample without any variation has width zero, however small the sample:
    these bounds stand in for it there.
    """
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(stats.beta.ppf(tail, successes, n - successes + 1))
    high = 1.0 if successes == n else float(stats.beta.ppf(1 - tail, successes + 1, n - successes))
    return low, high


def resampled_indices(
    rng: np.random.Generator,
    n: int,
    resamples: int,
    *,
    strata: Int64[np.ndarray, " images"] | None = None,
    width: int | None = None,
) -> Iterator[Int64[np.ndarray, "block images"]]:
    """Index blocks [r, n] that add up to ``resamples`` draws with replacement.

    A block holds at most a few million indices of rows ``width`` (``n`` unless given) wide, so
    that memory stays bounded and two samples can walk in step.
    """
    members = [np.arange(n)] if strata is None else _members(strata)
    rows = max(1, _BLOCK_ELEMENTS // (width or n))
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        block = np.empty((count, n), dtype=np.int64)
        for positions in members:
            drawn = rng.integers(0, len(positions), size=(count, len(positions)))
            block[:, positions] = positions[drawn]
        yield block


def _members(strata: np.ndarray) -> list[np.ndarray]:
    return [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]


def _bca_levels(
    values: np.ndarray,
    statistic: Statistic,
    value: float,
    replicates: np.ndarray,
    levels: np.ndarray,
) -> np.ndarray:
    """Quantile levels of the BCa interval (Efron 1987); the plain ones where it is undefined."""
    share_below = np.mean(replicates < value) + 0.5 * np.mean(replicates == value)
    if not 0 < share_below < 1:
        return levels
    jackknife = _jackknife(values, statistic)
    centred = jackknife.mean() - jackknife
    spread = np.sum(centred**2)
    acceleration = np.sum(centred**3) / (6 * spread**1.5) if spread > 0 else 0.0
    bias = stats.norm.ppf(share_below)
    shifted = bias + stats.norm.ppf(levels)
    adjusted: np.ndarray = stats.norm.cdf(bias + shifted / (1 - acceleration * shifted))
    return adjusted


def _jackknife(values: np.ndarray, statistic: Statistic) -> np.ndarray:
    n = len(values)
    rows = max(1, _BLOCK_ELEMENTS // n)
    blocks = []
    for start in range(0, n, rows):
        left_out = np.arange(start, min(start + rows, n))[:, None]
        others = np.arange(n - 1)[None, :]
        blocks.append(statistic(values[others + (others >= left_out)]))
    return np.concatenate(blocks)


def _check_sample(name: str, values: Shaped[np.ndarray, " images"]) -> None:
    if len(values) == 0:
        raise ValueError(f"{name} is empty: an interval needs at least one image")
    if np.isnan(values).any():
        bad = int(np.isnan(values).sum())
        raise ValueError(f"{name} holds {bad} nan values: leave failed images out first")


def _check_settings(resamples: int, confidence: float) -> None:
    if resamples < MINIMUM_RESAMPLES:
        raise ValueError(
            f"resamples is {resamples}: the quantiles of an interval need at least "
            f"{MINIMUM_RESAMPLES}"
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, expected a number between 0 and 1")
