"""Rows of the summary that share their keys, and intervals that share their seed."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypedDict, Unpack

import numpy as np

from ...core.statistics.interval import Interval
from ...core.statistics.means import mean_interval
from ...core.statistics.medians import median_interval
from .context import ReduceContext
from .schema import SummaryRow, exact, summary_row


class Keys(TypedDict, total=False):
    """What a row of the summary is of, besides its metric."""

    generator: str | None
    condition: str | None
    group: str | None
    against: str | None
    estimator: str | None


@dataclass(frozen=True)
class Emitter:
    """Makes rows under ``keys``, with intervals whose resamples are those of a seed."""

    context: ReduceContext
    keys: Keys
    known_seed: int | None = None

    @property
    def seed(self) -> int:
        """Of the intervals: what :meth:`seeded` made of the label and the keys.

        Raises:
            ValueError: nothing was said of what they are.
        """
        if self.known_seed is None:
            raise ValueError(f"no seed for an interval of {self.keys}: call seeded() first")
        return self.known_seed

    def at(self, **keys: Unpack[Keys]) -> "Emitter":
        """With these keys in the place of its own, and its seed."""
        return replace(self, keys={**self.keys, **keys})

    def seeded(self, label: str, *more: object) -> "Emitter":
        """With the seed of what it is the interval of: label, generator, group, and ``more``."""
        seed = self.context.seed_of(label, self.keys["generator"], self.keys["group"], *more)
        return replace(self, known_seed=seed)

    def row(self, metric: str, interval: Interval) -> SummaryRow:
        """A value with an interval that was made elsewhere."""
        return summary_row(metric, interval, **self.keys)

    def rows(self, intervals: Iterable[tuple[str, Interval]]) -> list[SummaryRow]:
        """A row for each metric and its interval."""
        return [self.row(metric, interval) for metric, interval in intervals]

    def exact(self, metric: str, value: float, n: int) -> SummaryRow:
        """A value that has no interval: a count, a setting, or a p-value."""
        return self.row(metric, exact(value, n))

    def mean(self, values: np.ndarray) -> Interval:
        """The mean's interval over the images."""
        return mean_interval(values, self.seed, resamples=self.context.resamples)

    def mean_row(self, metric: str, values: np.ndarray) -> SummaryRow:
        """The mean over the images, with its interval."""
        return self.row(metric, self.mean(values))

    def median_row(self, metric: str, values: np.ndarray, failed: int = 0) -> SummaryRow:
        """The median over the images, of which so many more failed, with its interval."""
        return self.row(metric, median_interval(values, failed=failed))


def emitter(context: ReduceContext, **keys: Unpack[Keys]) -> Emitter:
    """Makes rows under these keys; without a seed, which :meth:`Emitter.seeded` gives."""
    return Emitter(context, keys)
