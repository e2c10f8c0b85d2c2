"""What every interval is, and resamples of images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64, Shaped

from ..settings.statistics import MINIMUM_RESAMPLES

# The confidence level of an interval unless another is asked for.
CONFIDENCE = 0.95
# No p-value of finitely many images is 0, but the chance may be too small for a double.
SMALLEST_P_VALUE = float(np.finfo(np.float64).tiny)
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
        ValueError: fewer than `MINIMUM_RESAMPLES`.
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
