"""Have a group's estimates settled, and do replicates agree? One rule for every sentence on it."""

import math
from dataclasses import dataclass
from typing import Literal

from ...reduce.schema import DOUBLED
from ...report.summary import Estimate
from ...report.verdict import SETTLED_NATS
from ...report.view import View
from .reduce import apart

Gate = Literal["settled", "moving", "unknown"]


@dataclass(frozen=True)
class Doubling:
    """What doubling a setting does to a group's ln p, nats.

    ``high`` is the upper 95% bound of the 90% quantile of the changes' sizes, nan where too few
    images give none; ``largest`` the largest size.
    """

    mean: Estimate
    high: Estimate
    largest: Estimate

    @property
    def gate(self) -> Gate:
        """Whether the group has settled under this doubling."""
        return settled_gate(self.mean, self.high)


def settled_gate(mean: Estimate, high: Estimate) -> Gate:
    """Whether changes show a group to have settled, to be moving, or neither.

    Settled: the whole interval of the mean change lies within one nat of 0, and so does the bound
    on all but a tenth of the images. Unknown: there are too few images for the one or the other,
    and the mean of those there are is within a nat. Moving: everything else.
    """
    within = abs(mean.value) <= SETTLED_NATS
    if within and (math.isnan(mean.low) or math.isnan(mean.high) or math.isnan(high.value)):
        return "unknown"
    bounds = (-mean.low, mean.high, high.value)
    return "settled" if all(bound < SETTLED_NATS for bound in bounds) else "moving"


def doublings(view: View, group: str) -> dict[str, Doubling]:
    """The group's changes by what was doubled, as far as the convergence stage has them."""
    found = {}
    for varied in DOUBLED:
        mean, high, largest = (
            view.find(metric, group, against=varied)
            for metric in ("doubling_change", "doubling_change_high", "doubling_change_max")
        )
        if mean is not None and high is not None and largest is not None:
            found[varied] = Doubling(mean, high, largest)
    return found


@dataclass(frozen=True)
class Replicates:
    """How a group's estimates differ from others of the same images with other seeds, nats.

    ``mean`` is of the replicate minus the estimate, ``median`` of the differences' sizes; ``high``
    the upper 95% bound of their 90% quantile, nan where too few images give none; ``largest`` the
    largest.
    """

    mean: Estimate
    median: Estimate
    high: Estimate
    largest: Estimate

    @property
    def apart(self) -> float:
        """How far the two lie apart, for verdicts."""
        return apart(self.high.value, self.largest.value)

    @property
    def few(self) -> bool:
        """Whether these are too few images to bound the difference of all but a tenth."""
        return math.isnan(self.high.value)


def replicates(view: View, group: str) -> Replicates | None:
    """The group's replicates, as far as the convergence stage has them."""
    mean, median, high, largest = (
        view.find(f"replicate_difference{end}", group) for end in ("", "_median", "_high", "_max")
    )
    if mean is None or median is None or high is None or largest is None:
        return None
    return Replicates(mean, median, high, largest)


def replicates_agree(view: View, group: str, margin: float) -> bool:
    """Whether raising the group's ln p by what replicates differ by stays under a margin, nats.

    True where there are none: that is said elsewhere.
    """
    found = replicates(view, group)
    return found is None or found.apart < margin
