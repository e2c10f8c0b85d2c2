"""Have the estimates of a group settled? One rule for every sentence that depends on it."""

import math
from dataclasses import dataclass
from typing import Literal

from ...reduce.schema import DOUBLED
from ...report.summary import Estimate
from ...report.verdict import SETTLED_NATS
from ...report.view import View

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
