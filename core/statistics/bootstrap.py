"""What every interval is, and resamples of images; the percentile bootstrap."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64, Shaped

# Reduces the last axis: [..., n] -> [...].
Statistic = Callable[[np.ndarray], np.ndarray]

MINIMUM_RESAMPLES = 2000
_BLOCK_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """An estimate from ``n`` images with its confidence interval.

    ``low`` and ``high`` are nan where no interval is claimed: none would hold as often as it says.
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
) -> Interval:
    """Percentile interval of ``statistic(values)`` (Efron and Tibshirani 1993, 13).

    It is too narrow for few images and for skewed ones: of 30 log-normal values with s = 1.5 it
    holds the mean in 81% of samples. :func:`.means.mean_interval` is there for means.
    ``statistic`` reduces the last axis, so that all resamples go through it at once.

    Raises:
        ValueError: no values, a value that is nan, or too few resamples.
    """
    check_sample("values", values)
    check_resamples(resamples)
    check_confidence(confidence)
    value = float(statistic(values))
    n = len(values)
    if n == 1:
        return Interval(value, np.nan, np.nan, n)
    blocks = resampled_indices(np.random.default_rng(seed), n, resamples)
    replicates = np.concatenate([statistic(values[index]) for index in blocks])
    low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), n)


def resampled_indices(
    rng: np.random.Generator, n: int, resamples: int
) -> Iterator[Int64[np.ndarray, "block images"]]:
    """Index blocks [r, n] that add up to ``resamples`` draws with replacement.

    A block holds at most a few million indices, so that memory stays bounded.
    """
    rows = max(1, _BLOCK_ELEMENTS // n)
    for start in range(0, resamples, rows):
        yield rng.integers(0, n, size=(min(rows, resamples - start), n))


def check_sample(name: str, values: Shaped[np.ndarray, " images"]) -> None:
    """Refuse values that no interval can be made of.

    Raises:
        ValueError: no values, or one that is nan.
    """
    if len(values) == 0:
        raise ValueError(f"{name} is empty: an interval needs at least one image")
    if np.isnan(values).any():
        bad = int(np.isnan(values).sum())
        raise ValueError(f"{name} holds {bad} nan values: leave failed images out first")


def check_resamples(resamples: int) -> None:
    """Refuse so few resamples that the quantiles of an interval are left to chance.

    Raises:
        ValueError: fewer than :data:`MINIMUM_RESAMPLES`.
    """
    if resamples < MINIMUM_RESAMPLES:
        raise ValueError(
            f"resamples is {resamples}: the quantiles of an interval need at least "
            f"{MINIMUM_RESAMPLES}"
        )


def check_confidence(confidence: float) -> None:
    """Refuse a confidence that is no probability.

    Raises:
        ValueError: unless it lies between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is {confidence}, expected a number between 0 and 1")
