"""Means of the distances over independent sets, with the floor beside them."""

from ....core.statistics.set_means import set_mean_interval
from ....workers.distances import MEASURES
from ...reduce.context import ReduceContext
from ...reduce.emitter import emitter
from ...reduce.schema import SummaryRow
from ...reduce.tables import succeeded
from .features_plan import GENERATED, REAL


def reduce_distances(context: ReduceContext) -> list[SummaryRow]:
    """Rows for each generator and space; those of real images are the same under each."""
    frame = context.tables.read("distances", ["space", "n", *MEASURES])
    if frame is None:
        return []
    frame = succeeded(frame)
    rows: list[SummaryRow] = []
    for generator in context.generators:
        for space in frame["space"].unique():
            for group in (GENERATED, REAL):
                of_group = (frame["group"] == group) & (frame["space"] == space)
                if group == GENERATED:
                    of_group &= frame["generator"] == generator.name
                found = frame[of_group]
                if found.empty:
                    continue
                emit = emitter(context, generator=generator.name, group=group, condition=space)
                images = int(found["n"].iloc[0])
                rows += [
                    emit.row(measure, set_mean_interval(found[measure].tolist(), images))
                    for measure in MEASURES
                ]
    return rows
