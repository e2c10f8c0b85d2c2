"""The sweep: densities by the number of transitions T, and the smallest T that is enough."""

import math

import numpy as np
import pandas as pd

from ....core.statistics.bootstrap import Interval
from ....core.statistics.convergence import SandwichGap, quantile_bound, recommend_transitions
from ....core.statistics.means import mean_interval
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.schema import OWN, SummaryRow, exact, summary_row
from ...reduce.tables import succeeded


def reduce_sweep(context: ReduceContext) -> list[SummaryRow]:
    """By estimator, group and T: mean ln p, its shortfall from the largest T, the sandwich gap.

    Of the gap the mean, and the upper 95% bound of the 90% quantile of its size; and where it is
    known, the recommended T. ``against`` holds T, or the tolerance.
    """
    frame = context.tables.read("sweep", ["log_likelihood", "upper_bound"])
    if frame is None:
        return []
    rows = []
    # A row that failed has no number of transitions, which makes the column one of floats.
    good = succeeded(frame).astype({"transitions": np.int64})
    for estimator, by_estimator in good.groupby("estimator"):
        for generator in context.generators:
            mine = by_estimator[by_estimator["generator"] == generator.name]
            for group in context.groups:
                members = mine[mine["group"] == group.name]
                if len(members):
                    sweep = _Sweep(context, generator, group.name, str(estimator), members)
                    rows += sweep.rows()
    return rows


class _Sweep:
    """One group's estimates at every number of transitions."""

    def __init__(
        self,
        context: ReduceContext,
        generator: GeneratorInfo,
        group: str,
        estimator: str,
        members: pd.DataFrame,
    ) -> None:
        self._context = context
        self._generator = generator
        self._group = group
        self._estimator = estimator
        index = {"index": "image_id", "columns": "transitions"}
        self._density = members.pivot(values="log_likelihood", **index).sort_index(axis=1)
        upper = members.pivot(values="upper_bound", **index).sort_index(axis=1)
        self._gap = upper.astype(np.float64) - self._density

    def rows(self) -> list[SummaryRow]:
        """The summary's rows of this group."""
        shortfall = -self._density.sub(self._density.iloc[:, -1], axis=0).iloc[:, :-1]
        gaps = self._intervals(self._gap)
        high = {
            at: exact(quantile_bound(np.abs(sizes)), len(sizes))
            for at, sizes in _known(self._gap).items()
        }
        found = [
            ("sweep_log_likelihood", self._intervals(self._density)),
            ("sweep_shortfall", self._intervals(shortfall)),
            ("sweep_sandwich_gap", gaps),
            ("sweep_sandwich_gap_high", high),
        ]
        rows = [
            self._row(metric, interval, str(transitions))
            for metric, intervals in found
            for transitions, interval in intervals.items()
        ]
        tolerance = self._context.sweep_tolerance
        if gaps and tolerance is not None:
            known = {at: SandwichGap(gaps[at], high[at].value) for at in gaps}
            best = recommend_transitions(known, tolerance)
            value = exact(
                math.nan if best.transitions is None else best.transitions, best.gap.mean.n
            )
            rows.append(self._row("recommended_transitions", value, f"{tolerance:g}"))
        return rows

    def _intervals(self, values: pd.DataFrame) -> dict[int, Interval]:
        # The same resamples at every T: their means are of the same images.
        seed = self._context.seed_of("sweep", self._generator.name, self._group)
        return {
            transitions: mean_interval(column, seed, resamples=self._context.resamples)
            for transitions, column in _known(values).items()
        }

    def _row(self, metric: str, interval: Interval, against: str) -> SummaryRow:
        return summary_row(
            metric,
            interval,
            generator=self._generator.name,
            condition=OWN if self._generator.num_classes else None,
            group=self._group,
            against=against,
            estimator=self._estimator,
        )


def _known(values: pd.DataFrame) -> dict[int, np.ndarray]:
    """The images' values by number of transitions, where there are any."""
    columns = {
        int(str(transitions)): column.dropna().to_numpy(np.float64)
        for transitions, column in values.items()
    }
    return {transitions: column for transitions, column in columns.items() if len(column)}
