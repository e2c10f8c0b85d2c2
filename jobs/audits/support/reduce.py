"""Effective support, and whether generated images repeat themselves more often than real ones."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ....core.statistics.support import (
    Pairs,
    collides_less,
    collides_more,
    effective_support,
    half_chance_batch,
)
from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.schema import SummaryRow
from ...reduce.tables import succeeded
from .plan import CALIBRATING, GENERATED, JUDGED

TWICE = 2.0


@dataclass(frozen=True)
class _Set:
    pairs: Pairs
    n: int
    threshold: float


def reduce_support(context: ReduceContext) -> list[SummaryRow]:
    """Each generator's images beside the judged real ones, and these beside the calibrating."""
    frame = context.tables.read("support", ["n", "threshold", "first", "second", "distance"])
    if frame is None:
        return []
    frame = succeeded(frame)
    real = {
        which: _set(rows)
        for which, rows in frame.groupby("group")
        if which in (CALIBRATING, JUDGED)
    }
    rows: list[SummaryRow] = []
    for generator in context.generators:
        found = frame[(frame["group"] == GENERATED) & (frame["generator"] == generator.name)]
        if not len(found) or len(real) < 2:
            continue
        emit = emitter(context, generator=generator.name)
        sets = {GENERATED: _set(found), **real}
        for group, against in ((GENERATED, JUDGED), (JUDGED, CALIBRATING)):
            rows += _rows(emit.at(group=group), sets[group])
            rows += _beside(emit.at(group=group, against=against), sets[group], sets[against])
    return rows


def _set(rows: pd.DataFrame) -> _Set:
    (row,) = rows.to_dict("records")
    pairs = Pairs(
        np.asarray(row["first"], np.int64),
        np.asarray(row["second"], np.int64),
        np.asarray(row["distance"], np.float64),
    )
    return _Set(pairs, int(row["n"]), float(row["threshold"]))


def _rows(emit: Emitter, found: _Set) -> Iterator[SummaryRow]:
    support = effective_support(found.pairs, found.n)
    yield emit.row("support_chance", support.chance)
    yield emit.row("support_size", support.size)
    yield emit.exact("support_pairs", support.pairs, found.n)
    yield emit.exact("support_threshold", found.threshold, found.n)
    seed = emit.context.seed_of("support", emit.keys["generator"], emit.keys["group"])
    batch = half_chance_batch(found.pairs, found.n, seed)
    if batch is not None:
        yield emit.exact("support_batch", batch, found.n)


def _beside(emit: Emitter, found: _Set, real: _Set) -> Iterator[SummaryRow]:
    more = collides_more(found.pairs, found.n, real.pairs, real.n)
    twice = collides_less(found.pairs, found.n, real.pairs, real.n, TWICE)
    yield emit.exact("support_p_more", more, found.n)
    yield emit.exact("support_p_twice", twice, found.n)
