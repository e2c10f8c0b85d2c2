"""Means over independent sets of images, for statistics that no resample of images may be made of.

A bootstrap draws an image twice, and neighbours and collisions see a duplicate.
"""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from .interval import CONFIDENCE, Interval, check_confidence

# Student's interval of fewer values would be several times as wide as their spread.
FEWEST_SETS = 3


def set_mean_interval(
    values: Sequence[float], images: int, *, confidence: float = CONFIDENCE
) -> Interval:
    """Student's interval of the mean of a statistic over independent sets of so many images each.

    What it covers is the statistic's expectation at that number of images, bias included, against
    what all sets were compared with. nan bounds below `FEWEST_SETS` sets, or where all agree.

    Raises:
        ValueError: no values, or one that is not finite.
    """
    check_confidence(confidence)
    found = np.asarray(values, np.float64)
    if not len(found) or not np.isfinite(found).all():
        raise ValueError(f"{len(found)} values: expected at least one, all finite")
    mean = float(found.mean())
    if len(found) < FEWEST_SETS or np.ptp(found) == 0:
        return Interval(mean, np.nan, np.nan, images)
    error = float(found.std(ddof=1)) / np.sqrt(len(found))
    half = float(stats.t.ppf((1 + confidence) / 2, len(found) - 1)) * error
    return Interval(mean, mean - half, mean + half, images)
