"""The sweep: densities by the number of transitions T, and the smallest T that is enough."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ....core.statistics.convergence import SandwichGap, quantile_bound, recommend_transitions
from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.groups import own_condition
from ...reduce.schema import SummaryRow, exact
from ...reduce.tables import succeeded


def reduce_sweep(context: ReduceContext) -> list[SummaryRow]:
    """By estimator, group and T: mean ln p, its shortfall from the largest T, the sandwich gap.

    Of the gap the mean, and the upper 95% bound of the 90% quantile of its size; and where it is
    known, the recommended T. ``against`` holds T, or the tolerance.
    """
    frame = context.tables.read("sweep", ["log_likelihood", "upper_bound"])
    if frame is None:
        return []
    rows: list[SummaryRow] = []
    # A row that failed has no number of transitions, which makes the column one of floats.
    good = succeeded(frame).astype({"transitions": np.int64})
    for estimator, by_estimator in good.groupby("estimator"):
        for generator in context.generators:
            keys = {"generator": generator.name, "condition": own_condition(generator)}
            emit = emitter(context, estimator=str(estimator), **keys)
            mine = by_estimator[by_estimator["generator"] == generator.name]
            for group in context.groups:
                members = mine[mine["group"] == group.name]
                if len(members):
                    # The same resamples at every T: their means are of the same images.
                    rows += _group_rows(emit.at(group=group.name).seeded("sweep"), members)
    return rows


def _group_rows(emit: Emitter, members: pd.DataFrame) -> Iterator[SummaryRow]:
    """One group's estimates at every number of transitions."""
    index = {"index": "image_id", "columns": "transitions"}
    density = members.pivot(values="log_likelihood", **index).sort_index(axis=1)
    upper = members.pivot(values="upper_bound", **index).sort_index(axis=1)
    shortfall = -density.sub(density.iloc[:, -1], axis=0).iloc[:, :-1]
    gaps = _known(upper.astype(np.float64) - density)
    means = {at: emit.mean(sizes) for at, sizes in gaps.items()}
    high = {at: exact(quantile_bound(np.abs(sizes)), len(sizes)) for at, sizes in gaps.items()}
    for metric, intervals in (
        ("sweep_log_likelihood", {at: emit.mean(of) for at, of in _known(density).items()}),
        ("sweep_shortfall", {at: emit.mean(of) for at, of in _known(shortfall).items()}),
        ("sweep_sandwich_gap", means),
        ("sweep_sandwich_gap_high", high),
    ):
        for transitions, interval in intervals.items():
            yield emit.at(against=str(transitions)).row(metric, interval)
    tolerance = emit.context.sweep_tolerance
    if gaps and tolerance is not None:
        known = {at: SandwichGap(means[at], high[at].value) for at in gaps}
        best = recommend_transitions(known, tolerance)
        enough = math.nan if best.transitions is None else best.transitions
        keyed = emit.at(against=f"{tolerance:g}")
        yield keyed.exact("recommended_transitions", enough, best.gap.mean.n)


def _known(values: pd.DataFrame) -> dict[int, np.ndarray]:
    """The images' values by number of transitions, where there are any."""
    columns = {
        int(str(transitions)): column.dropna().to_numpy(np.float64)
        for transitions, column in values.items()
    }
    return {transitions: column for transitions, column in columns.items() if len(column)}
