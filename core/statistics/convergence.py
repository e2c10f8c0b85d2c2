"""How many transitions annealed importance sampling needs, from its sandwich gap."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

from .interval import CONFIDENCE, Interval, check_sample

# Of how many images a statement about all is made: all but a tenth.
HIGH_QUANTILE = 0.9
# The fewest images whose largest value bounds that quantile (`quantile_bound`).
FEWEST_BOUNDED = math.ceil(math.log(1 - CONFIDENCE) / math.log(HIGH_QUANTILE))
# The fewest simulated images that recommend anything.
MINIMUM_GAPS = 32


@dataclass(frozen=True)
class SandwichGap:
    """Upper minus lower bound on ln p of images simulated from the model, in nats.

    ``mean`` is over images; ``high`` the upper confidence bound of a high quantile of the absolute
    gap (`quantile_bound`), nan where there are too few images for one.
    """

    mean: Interval
    high: float

    def is_under(self, tolerance: float) -> bool:
        """Whether the images show mean and high quantile to be under ``tolerance`` nats."""
        enough = self.mean.n >= MINIMUM_GAPS
        return bool(enough and self.mean.high < tolerance and self.high < tolerance)


@dataclass(frozen=True)
class Recommendation:
    """``transitions`` to use, None where none of those tried will do.

    ``gap`` is the sandwich gap at that number, or at the largest number tried.
    """

    transitions: int | None
    gap: SandwichGap


def quantile_bound(
    values: Float64[np.ndarray, " images"],
    *,
    quantile: float = HIGH_QUANTILE,
    confidence: float = CONFIDENCE,
) -> float:
    """The upper confidence bound of a quantile, for any law of the values.

    Of n values the k-th smallest is at least the q-quantile with probability P(Bin(n, q) < k) or
    more (David and Nagaraja 2003, 7.1): the bound is that of the smallest k for which this reaches
    ``confidence``. It is nan where the largest of n values is not enough, which takes
    `FEWEST_BOUNDED` at the defaults.

    Raises:
        ValueError: no values, or a value that is nan.
    """
    check_sample("values", values)
    n = len(values)
    # ppf is the least j with P(Bin <= j) >= confidence, and k = j + 1 is a count from 1.
    index = int(stats.binom.ppf(confidence, n, quantile))
    return math.nan if index >= n else float(np.sort(values)[index])


def recommend_transitions(gaps: Mapping[int, SandwichGap], tolerance: float) -> Recommendation:
    """The fewest transitions T at which, and at every larger T tried, the gap is under tolerance.

    The gap of an image simulated from the model is its upper minus its lower bound on ln p
    (Grosse et al. 2015); ``gaps`` holds those of the same images by T. The gap counts as under the
    tolerance where at least :data:`MINIMUM_GAPS` images have one, the upper end of the mean's
    interval is under it, and so is the 95% bound on the 90% quantile of the absolute gap: a mean
    alone is met while a tenth of the images are far off. T's are tried from the largest down and
    the first that fails ends the search. So too few are recommended only if the largest T that is
    not enough passes, by one test at its own level, however many T's are tried.

    Raises:
        ValueError: no gaps, or a tolerance that is not positive.
    """
    if not gaps:
        raise ValueError("gaps is empty: a recommendation needs at least one number of transitions")
    if not tolerance > 0:
        raise ValueError(f"tolerance = {tolerance}: expected a positive number of nats")
    largest = max(gaps)
    enough = None
    for transitions in sorted(gaps, reverse=True):
        if not gaps[transitions].is_under(tolerance):
            break
        enough = transitions
    return Recommendation(enough, gaps[largest if enough is None else enough])
