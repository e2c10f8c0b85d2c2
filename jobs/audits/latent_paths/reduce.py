"""Paths along the latent: steps, switches, and the test that exchanges labels."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from ....core.statistics.copies import NEAREST
from ....core.statistics.label_permutation import permute_labels
from ....core.statistics.latent_paths import (
    PathNeighbours,
    dwell,
    dwell_test,
    jump_share,
    largest_step,
    switches,
)
from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.schema import SummaryRow
from ...reduce.tables import succeeded
from ..copies.plan import GENERATED, HELD_OUT
from ..copies.reduce import TRAINING

_COLUMNS = [
    "step",
    "pool_training",
    "pool_held_out",
    "pool_place",
    "pool_distance",
    "pool_nearness",
]
# Without two paths nothing is averaged, and no test says anything.
_FEWEST = 2
_MOST_UNSEEN = 0.05


def reduce_latent_paths(context: ReduceContext) -> list[SummaryRow]:
    """Rows for each generator; the control is the same for all."""
    frame = context.tables.read("latent_paths", _COLUMNS)
    if frame is None:
        return []
    every, frame = frame, succeeded(frame)
    controls = frame[frame["group"] == HELD_OUT]
    rows: list[SummaryRow] = []
    for generator in context.generators:
        asked = (every["group"] == GENERATED) & (every["generator"] == generator.name)
        if not asked.any():
            continue
        mine = frame[(frame["group"] == GENERATED) & (frame["generator"] == generator.name)]
        emit = emitter(context, generator=generator.name, group=GENERATED).seeded("latent_paths")
        rows.append(emit.exact("path_usable", len(mine), int(asked.sum())))
        if len(mine) < _FEWEST:
            continue
        rows += _paths(emit, mine)
        if len(controls):
            rows += _alike(emit, controls)
    return rows


def _paths(emit: Emitter, rows: pd.DataFrame) -> Iterator[SummaryRow]:
    paths = _neighbours(rows)
    training, held = int(rows["pool_training"].iloc[0]), int(rows["pool_held_out"].iloc[0])
    is_training = np.arange(training + held) < training
    found = dwell_test(paths, is_training, emit.seed)
    yield emit.exact("path_dwell_excess", found.value, len(rows))
    yield emit.exact("path_dwell_p", found.p_value, len(rows))
    steps = jump_share(paths.step), largest_step(paths.step)
    for metric, values in zip(("path_jump_share", "path_largest_step"), steps, strict=True):
        known = values[~np.isnan(values)]
        if len(known):
            yield emit.mean_row(metric, known)
    yield emit.exact("path_dwell_blind", paths.blind(training, held), len(rows))
    labels = _equal_numbers(is_training, emit.seed)
    # Of too many points it is only known that the nearest of a kind is farther than all in the
    # lists: the numbers of both kinds would be those of the lists' length.
    if max(paths.unseen(label) for label in labels.values()) > _MOST_UNSEEN:
        return
    for against, label in labels.items():
        place, distance = paths.labelled(label)
        keyed = emit.at(against=against)
        yield keyed.mean_row("path_dwell", dwell(paths.step, distance))
        changes = switches(place[:, : paths.images]).astype(np.float64)
        yield keyed.mean_row("path_switches", changes)


def _neighbours(rows: pd.DataFrame) -> PathNeighbours:
    step = np.stack(rows["step"].to_list()).astype(np.float64)
    points = 2 * step.shape[1] + 1
    place, distance = (
        np.stack(rows[column].to_list()).reshape(len(rows), points, NEAREST)
        for column in ("pool_place", "pool_distance")
    )
    return PathNeighbours(step, place.astype(np.int64), distance.astype(np.float64))


def _equal_numbers(is_training: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """As many images of either kind, chosen at random: what is nearest depends on how many."""
    rng = np.random.default_rng(seed)
    count = int(min(is_training.sum(), (~is_training).sum()))
    found = {}
    for against, label in ((TRAINING, is_training), (HELD_OUT, ~is_training)):
        chosen = np.zeros(len(label), dtype=bool)
        chosen[rng.choice(np.flatnonzero(label), count, replace=False)] = True
        found[against] = chosen
    return found


def _alike(emit: Emitter, rows: pd.DataFrame) -> Iterator[SummaryRow]:
    """Held-out images that lie apart from training images would make any generator's dwell.

    Nothing where it could not speak up whatever it saw: all of them have the same few nearest.
    """
    training, held = int(rows["pool_training"].iloc[0]), int(rows["pool_held_out"].iloc[0])
    places = np.concatenate(rows["pool_place"].to_list()).astype(np.int64)
    found = permute_labels(
        places,
        rows["pool_nearness"].to_numpy(np.float64),
        np.arange(training + held) >= training,
        emit.context.seed_of("latent_paths", "alike"),
    )
    if len(np.unique(places)) >= found.fewest:
        yield emit.exact("path_p_alike", found.p_value, len(rows))
