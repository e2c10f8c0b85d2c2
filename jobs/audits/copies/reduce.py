"""Copies: the nearness of generated images ranked among that of held-out ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ....core.culprits.copies import REPLAYS
from ....core.statistics.copies import (
    benjamini_hochberg,
    held_out_p_values,
    share_of_copies,
    shared_p_value,
)
from ....core.statistics.data_copying import authentic, data_copying
from ....core.statistics.interval import CONFIDENCE
from ....core.statistics.label_permutation import LabelTest, permute_labels
from ....core.statistics.proportions import proportion_interval
from ....core.statistics.views import kinds_of_views
from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.schema import SummaryRow, class_condition
from ...reduce.tables import succeeded
from .plan import GENERATED, HELD_OUT, PLANTED

TRAINING = "training"
"""The column `against` of what is asked of training images."""
PLACEBO = "placebo"
"""And of what is asked of held-out images, which nothing can have been copied from."""

_COLUMNS = [
    "half",
    "nearness",
    "distance",
    "placebo_nearness",
    "training_label",
    "own_distance",
    "pool_training",
    "pool_held_out",
    "pool_place",
    "pool_nearness",
]
SEEN_AT = 0.01
"""An image is seen in a view whose p-value there is at most this: so often chance gives it."""
# The kind of planted copies that stay the nearest to their original in pixels.
_UNMOVED = "replay-noisy"
# Without two images on either side nothing is ranked.
_FEWEST = 2


@dataclass(frozen=True)
class Asked:
    """Rows of a generator's images, and of the held-out images and planted copies beside them."""

    generated: pd.DataFrame
    held_out: pd.DataFrame
    planted: pd.DataFrame

    @property
    def judged(self) -> pd.DataFrame:
        """The held-out images of the half that the placebo compares with the other."""
        return self.held_out[self.held_out["half"] == 1]


def read_asked(context: ReduceContext, generator: str) -> Asked | None:
    """What was computed for a generator; None where too few images have a result."""
    frame = context.tables.read("copies", _COLUMNS)
    if frame is None:
        return None
    frame = succeeded(frame)
    held_out = frame[frame["group"] == HELD_OUT]
    generated = frame[(frame["group"] == GENERATED) & (frame["generator"] == generator)]
    asked = Asked(generated, held_out, frame[frame["group"] == PLANTED])
    return asked if len(generated) and len(asked.judged) >= _FEWEST else None


def reduce_copies(context: ReduceContext) -> list[SummaryRow]:
    """The share of copies with its placebo, the exact test, C_T and authenticity."""
    rows: list[SummaryRow] = []
    for generator in context.generators:
        asked = read_asked(context, generator.name)
        if asked is None:
            continue
        emit = emitter(context, generator=generator.name, group=GENERATED)
        rows += _shares(emit, asked)
        rows += _seen_by_view(emit, asked)
        rows += _class_shares(emit, asked)
        rows += _labels(emit, asked)
        rows += _shared(emit, asked)
        rows += _data_copying(emit, asked)
        rows += _authenticity(emit, asked)
    return rows


def least(values: pd.Series, views: Sequence[int] | None = None) -> np.ndarray:
    """The nearness in the view in which it is least, of all or of the ``views`` at these places."""
    every = np.stack(values.to_list()).astype(np.float64)
    return np.asarray((every if views is None else every[:, list(views)]).min(axis=1))


def _shares(emit: Emitter, asked: Asked) -> Iterator[SummaryRow]:
    yield from share_rows(
        emit,
        Nearness(least(asked.generated["nearness"]), least(asked.held_out["nearness"])),
        Nearness(
            least(asked.generated["placebo_nearness"]), least(asked.judged["placebo_nearness"])
        ),
        {kind: least(rows["nearness"]) for kind, rows in by_kind(asked.planted).items()},
    )


@dataclass(frozen=True)
class Nearness:
    """Of generated images, and of the held-out ones that they are ranked among."""

    generated: np.ndarray
    held_out: np.ndarray


def share_rows(
    emit: Emitter, training: Nearness, placebo: Nearness, planted: Mapping[str, np.ndarray]
) -> Iterator[SummaryRow]:
    """The share of copies with what belongs to it, that of the placebo, and planted ones seen.

    ``planted`` is the nearness of planted copies by their kind.
    """
    for against, near in {TRAINING: training, PLACEBO: placebo}.items():
        try:
            found = share_of_copies(near.generated, near.held_out)
        except ValueError:
            # All held-out images are at distance 0: none of them tells a copy.
            continue
        keyed = emit.at(against=against)
        yield keyed.row("copies_share", found.share)
        yield keyed.exact("copies_p", found.p_value, found.n)
        yield keyed.exact("copies_detectable", found.detectable, found.n)
        yield keyed.exact("copies_held_out", found.held_out, found.n)
        p_values = held_out_p_values(near.generated, near.held_out)
        count = int(benjamini_hochberg(p_values, 1 - CONFIDENCE).sum())
        yield keyed.exact("copies_found", count, found.n)
        if against == TRAINING:
            for kind, values in planted.items():
                seen = proportion_interval(int(np.sum(values <= found.threshold)), len(values))
                yield emit.at(against=kind).row("copies_seen", seen)


def by_kind(planted: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """The rows of planted copies by their kind; without those of which there are none."""
    found = {kind: planted[planted["image_id"].str.startswith(f"{kind}-")] for kind in REPLAYS}
    return {kind: rows for kind, rows in found.items() if len(rows)}


def _class_shares(emit: Emitter, asked: Asked) -> Iterator[SummaryRow]:
    """The same by the class of the nearest training image, among held-out images of that class."""
    cells, held_cells = _cells(asked.generated), _cells(asked.held_out)
    made, others = least(asked.generated["nearness"]), least(asked.held_out["nearness"])
    for index in np.unique(cells[cells >= 0]).tolist():
        mine, theirs = made[cells == index], others[held_cells == index]
        if min(len(mine), len(theirs)) < _FEWEST:
            continue
        try:
            found = share_of_copies(mine, theirs)
        except ValueError:
            # As above: all of this class's held-out images are at distance 0.
            continue
        keyed = emit.at(against=TRAINING, condition=class_condition(index))
        yield keyed.row("copies_class_share", found.share)


def _seen_by_view(emit: Emitter, asked: Asked) -> Iterator[SummaryRow]:
    """In which kinds of view planted copies are seen, and the generator's images, at `SEEN_AT`."""
    for kind, views in kinds_of_views().items():
        images = {**by_kind(asked.planted), GENERATED: asked.generated}
        yield from seen_rows(
            emit.at(condition=kind),
            {name: least(rows["nearness"], views) for name, rows in images.items()},
            least(asked.held_out["nearness"], views),
        )


def seen_rows(
    emit: Emitter, nearness: Mapping[str, np.ndarray], held_out: np.ndarray
) -> Iterator[SummaryRow]:
    """How many images of each kind are seen in a view, where chance gives `SEEN_AT`.

    Nothing where there are too few held-out images for so small a p-value.
    """
    if 1 / (1 + len(held_out)) > SEEN_AT:
        return
    for against, values in nearness.items():
        p_values = held_out_p_values(values, held_out)
        seen = proportion_interval(int(np.sum(p_values <= SEEN_AT)), len(p_values))
        yield emit.at(against=against).row("copies_seen_by_view", seen)


def _labels(emit: Emitter, asked: Asked) -> Iterator[SummaryRow]:
    seed = emit.context.seed_of("copies", "labels", emit.keys["generator"])
    found = label_test(asked.generated, seed)
    n = len(asked.generated)
    yield emit.exact("nearer_p", found.p_value, n)
    yield emit.exact("nearer_share", found.training, n)
    yield emit.exact("nearer_expected", found.expected, n)
    yield emit.exact("nearer_fewest", found.fewest, n)
    # Held-out images that lie apart from training images make any generator's look like copies.
    yield from alike_row(emit, asked.judged, seed)


def alike_row(emit: Emitter, judged: pd.DataFrame, seed: int) -> Iterator[SummaryRow]:
    """The exchange of labels for held-out images in the place of generated ones.

    Nothing where it could not speak up whatever it saw: all of them have the same few nearest.
    """
    control = label_test(judged, seed, turned=True)
    if judged["pool_place"].nunique() >= control.fewest:
        yield emit.exact("copies_p_alike", control.p_value, len(judged))


def label_test(rows: pd.DataFrame, seed: int, *, turned: bool = False) -> LabelTest:
    """The exchange of labels for some images; ``turned`` looks for nearness to held-out ones."""
    training, held = int(rows["pool_training"].iloc[0]), int(rows["pool_held_out"].iloc[0])
    is_training = np.arange(training + held) < training
    return permute_labels(
        rows["pool_place"].to_numpy(np.int64),
        rows["pool_nearness"].to_numpy(np.float64),
        ~is_training if turned else is_training,
        seed,
    )


def _shared(emit: Emitter, asked: Asked) -> Iterator[SummaryRow]:
    """Held-out images that equal training images, beside how often these equal each other.

    The latter of those that copies were planted of, which are chosen at random: of a noisy copy the
    nearest is its original.
    """
    shared, held = int(np.sum(_pixel_distance(asked.held_out) == 0)), len(asked.held_out)
    originals = by_kind(asked.planted).get(_UNMOVED)
    own = np.empty(0) if originals is None else originals["own_distance"].to_numpy(np.float64)
    p_value = shared_p_value(shared, held, int(np.sum(own == 0)), len(own))
    yield emit.exact("copies_shared", shared, held)
    yield emit.exact("copies_shared_p", p_value, held)


def _data_copying(emit: Emitter, asked: Asked) -> Iterator[SummaryRow]:
    """C_T in cells of the nearest training image's class, which has the nearest of its cell too.

    Of held-out images: one half in the place of generated ones, the other as held out.
    """
    other = asked.held_out[asked.held_out["half"] == 0]
    for group, rows, held_out in (
        (GENERATED, asked.generated, asked.held_out),
        (HELD_OUT, asked.judged, other),
    ):
        found = data_copying(
            _pixel_distance(rows),
            _cells(rows),
            _pixel_distance(held_out),
            _cells(held_out),
            emit.context.seed_of("copies", "C_T", emit.keys["generator"], group),
        )
        if found is not None:
            keyed = emit.at(group=group)
            yield keyed.exact("data_copying", found.value, len(rows))
            yield keyed.exact("data_copying_deviation", found.deviation, len(rows))
            yield keyed.exact("data_copying_p", found.p_value, len(rows))


def _authenticity(emit: Emitter, asked: Asked) -> Iterator[SummaryRow]:
    for group, rows in ((GENERATED, asked.generated), (HELD_OUT, asked.held_out)):
        own = rows["own_distance"].to_numpy(np.float64)
        farther = authentic(np.arange(len(rows)), _pixel_distance(rows), own)
        share = proportion_interval(int(farther.sum()), len(rows))
        yield emit.at(group=group).row("authentic_share", share)


def _pixel_distance(rows: pd.DataFrame) -> np.ndarray:
    return np.stack(rows["distance"].to_list())[:, 0]


def _cells(rows: pd.DataFrame) -> np.ndarray:
    return rows["training_label"].fillna(-1).to_numpy(np.int64)
