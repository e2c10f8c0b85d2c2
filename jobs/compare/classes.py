"""What classifiers say of the sides: quality against diversity, and collapse in common."""

from collections.abc import Sequence

import pyarrow as pa

from ..audits.across.collapse.quality import reversals
from ..audits.across.collapse.reduce import annotated_labels, favoured_together
from ..audits.across.collapse.series import finished
from ..reduce.schema import SUMMARY
from ..report.summary import Summary, number
from ..report.verdict import ERROR_RATE
from ..report.view import View
from .sides import Side

# Of the permutations, which are no run's.
_SEED = 0


def side_views(sides: Sequence[Side]) -> dict[str, View]:
    """Each side as its own report sees it, by its letter."""
    return {
        side.letter: View(
            side.context,
            Summary(pa.Table.from_pylist(list(side.rows), schema=SUMMARY), side.trusted),
            side.generator,
        )
        for side in sides
    }


def class_sentences(sides: Sequence[Side]) -> list[str]:
    """Which sides make better images and less diverse ones, and whether all favour one class.

    Qualities are held against each other within a run: another one has another annotator.
    """
    views = side_views(sides)
    found = []
    for run in dict.fromkeys(side.run for side in sides):
        mine = {side.letter: views[side.letter] for side in sides if side.run == run}
        found += reversals(mine)
    return [*found, *_in_common(sides)]


def _in_common(sides: Sequence[Side]) -> list[str]:
    # A generator goes along with itself, and with its own training's other checkpoints.
    last = {s.weights: s for s in reversed(sides) if s.generator in finished(s.context.generators)}
    known = [(side.generator.name, annotated_labels(side.context)) for side in last.values()]
    pairs = [(labels[name], labels[None]) for name, labels in known if name in labels]
    found = favoured_together([made for made, _ in pairs], [real for _, real in pairs], _SEED)
    if found is None:
        return []
    said = "they favour the same classes" if found.p_value < ERROR_RATE else "not decided"
    return [
        f"Kendall's W of the class share ratios of {len(pairs)} generators, each under its run's "
        f"annotator, is {number(found.w, 2)} of 1, p = {number(found.p_value, 2)}: {said}."
    ]
