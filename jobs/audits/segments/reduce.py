"""Areas of objects in generated images beside those in real ones."""

from collections.abc import Iterator

import numpy as np

from ....core.statistics.class_shares import share_ratio
from ....core.statistics.mean_ratios import mean_ratio_interval
from ....core.statistics.proportions import proportion_interval
from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.schema import SummaryRow
from ...reduce.tables import succeeded
from .plan import GENERATED, REAL


def reduce_segments(context: ReduceContext) -> list[SummaryRow]:
    """Rows for each generator and class of objects."""
    frame = context.tables.read("segments", ["areas"])
    if frame is None:
        return []
    frame = succeeded(frame)
    rows: list[SummaryRow] = []
    for generator in context.generators:
        mine = frame[(frame["group"] == GENERATED) & (frame["generator"] == generator.name)]
        real = frame[frame["group"] == REAL]
        if mine.empty or real.empty:
            continue
        made, theirs = (
            np.stack(each["areas"].to_list()).astype(np.float64) for each in (mine, real)
        )
        for number, name in enumerate(context.objects):
            keys = emitter(context, generator=generator.name, group=GENERATED, condition=name)
            emit = keys.seeded("segments", number)
            rows += _object(emit, made[:, number], theirs[:, number])
    return rows


def _object(emit: Emitter, made: np.ndarray, real: np.ndarray) -> Iterator[SummaryRow]:
    counts = [int(np.count_nonzero(areas)) for areas in (made, real)]
    for group, areas, count in ((GENERATED, made, counts[0]), (REAL, real, counts[1])):
        keyed = emit.at(group=group)
        yield keyed.mean_row("object_area", areas)
        yield keyed.row("object_presence", proportion_interval(count, len(areas)))
    ratio = mean_ratio_interval(made, real, emit.seed, resamples=emit.context.resamples)
    yield emit.row("object_area_ratio", ratio)
    yield emit.row("object_presence_ratio", share_ratio(counts[0], len(made), counts[1], len(real)))
