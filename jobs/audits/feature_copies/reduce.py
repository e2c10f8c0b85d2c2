"""Copies in feature spaces: the numbers of the search in pixels, under the space's name."""

import numpy as np
import pandas as pd

from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.schema import SummaryRow
from ...reduce.tables import succeeded
from ..copies.plan import GENERATED, HELD_OUT, PLANTED
from ..copies.reduce import Nearness, alike_row, by_kind, seen_rows, share_rows

_COLUMNS = [
    "space",
    "half",
    "nearness",
    "placebo_nearness",
    "pool_training",
    "pool_held_out",
    "pool_place",
    "pool_nearness",
]
# Without two images on either side nothing is ranked.
_FEWEST = 2


def reduce_feature_copies(context: ReduceContext) -> list[SummaryRow]:
    """The share of copies, its controls and which planted copies are seen, for each space."""
    frame = context.tables.read("feature_copies", _COLUMNS)
    if frame is None:
        return []
    # Rows of failed images name none.
    spaces = frame["space"].dropna().unique()
    frame = succeeded(frame)
    rows: list[SummaryRow] = []
    for generator in context.generators:
        emit = emitter(context, generator=generator.name, group=GENERATED)
        for space in spaces:
            found = frame[frame["space"] == space]
            mine = (found["group"] == GENERATED) & (found["generator"] == generator.name)
            rows += _of_space(emit.at(condition=space), found, found[mine])
    return rows


def _of_space(emit: Emitter, found: pd.DataFrame, generated: pd.DataFrame) -> list[SummaryRow]:
    held_out = found[found["group"] == HELD_OUT]
    judged = held_out[held_out["half"] == 1]
    compared = emit.exact("copies_compared", len(generated), len(generated))
    if not len(generated) or len(judged) < _FEWEST:
        return [compared]
    planted = {
        kind: _values(rows) for kind, rows in by_kind(found[found["group"] == PLANTED]).items()
    }
    near = Nearness(_values(generated), _values(held_out))
    placebo = Nearness(*(_values(rows, "placebo_nearness") for rows in (generated, judged)))
    seed = emit.context.seed_of("copies", "labels", emit.keys["generator"], emit.keys["condition"])
    return [
        compared,
        *share_rows(emit, near, placebo, planted),
        *seen_rows(emit, {**planted, GENERATED: near.generated}, near.held_out),
        *alike_row(emit, judged, seed),
    ]


def _values(rows: pd.DataFrame, column: str = "nearness") -> np.ndarray:
    return rows[column].to_numpy(np.float64)
