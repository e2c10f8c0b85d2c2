"""Settings of the intervals."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, doc

# With fewer the quantiles of an interval are left to chance.
MINIMUM_RESAMPLES = 2000


@dataclass(frozen=True)
class StatisticsSettings:
    """Settings of the intervals that are a bootstrap's."""

    resamples: Annotated[
        int, Ge(MINIMUM_RESAMPLES), doc("resamples of the images behind each bootstrap interval")
    ] = MINIMUM_RESAMPLES
