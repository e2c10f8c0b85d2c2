"""The report's section on collapse over a training, and across generators."""

import itertools
import math
from collections.abc import Sequence

from ....reduce.context import GeneratorInfo
from ....reduce.schema import class_condition
from ....report.section import Section, present
from ....report.summary import Estimate, number
from ....report.table import Cell, Column, Table, counts, estimates, filled_table, numbers
from ....report.verdict import ERROR_RATE
from ....report.view import View
from .figures import evolution
from .quality import quality_table, reversals
from .series import finished, trainings


def collapse_section(view: View) -> Section:
    """What only several generators, or checkpoints of one, can show.

    It stands once a training, with its last checkpoint.
    """
    key, title = "collapse", "Does collapse recede, and do generators share it?"
    last = finished(view.context.generators)
    if view.generator not in last:
        return Section(key, title, [], [], [])
    members = next((m for m in trainings(view.context.generators) if view.generator in m), [])
    views = {each.generator.name: each for each in view.by_generator() if each.generator in last}
    return Section(
        key,
        title,
        [*_over_training(view), *_in_common(view), *reversals(views)],
        present(*evolution(view.context, members)),
        present(_checkpoints(view, members), _shared(view), quality_table(views)),
    )


def _over_training(view: View) -> list[str]:
    switches, line = view.find("dominant_class_switches"), view.find("class_total_variation_trend")
    if switches is None or line is None:
        return []
    return [
        "The dominant class of a checkpoint is the one whose share is the most times that among "
        f"real images, both as annotated. Over {switches.n} checkpoints it changed "
        f"{switches.value:.0f} times. Does collapse recede? From the first to the last the total "
        f"variation between the shares changes by {line.text(2)}: {recedes(line)}. This describes "
        "the checkpoints: where neighbouring ones are alike, the interval holds the truth in less "
        "than 95% of cases. Where little is wrong some class is dominant all the same, by chance, "
        "and another one soon after."
    ]


def recedes(line: Estimate) -> str:
    """What a trend says; an interval without width, of distances that are alike, says nothing."""
    if math.isnan(line.low):
        return "an interval needs five checkpoints, so nothing is decided"
    if line.low <= 0 <= line.high or line.low == line.high:
        return "not decided"
    return "it recedes" if line.high < 0 else "it grows"


def _in_common(view: View) -> list[str]:
    found = view.summary.find("shared_collapse")
    p_value = view.summary.find("shared_collapse_p_value")
    if found is None or p_value is None:
        return []
    said = "they favour the same ones" if p_value.value < ERROR_RATE else "not decided"
    return [
        f"Do generators favour the same classes? Kendall's W of their share ratios is "
        f"{number(found.value, 2)} of 1, p = {number(p_value.value, 2)}, {found.n} generators, "
        f"each held against other real images: {said}. Generators that learned from images of "
        "other class shares than the held-out ones would do so without any fault of their own."
    ]


def _checkpoints(view: View, members: Sequence[GeneratorInfo]) -> Table | None:
    rows: list[list[Cell]] = []
    for each in view.by_generator():
        dominant = each.find("dominant_class")
        if each.generator not in members or dominant is None:
            continue
        index = int(dominant.value)
        rows.append(
            [
                each.generator.name,
                index,
                each.find("class_share_ratio", None, class_condition(index)),
                each.find("class_total_variation"),
                each.find("class_total_variation_floor"),
                each.find("effective_classes"),
            ]
        )
    return filled_table(
        "The checkpoints of the training, as annotated",
        [
            Column("checkpoint"),
            counts("dominant class"),
            estimates("its share over that of real images", decimals=2),
            estimates("total variation", decimals=3),
            numbers("by chance alone", decimals=3),
            estimates("effective classes, exp(H)", decimals=2),
        ],
        rows,
        key="checkpoints",
    )


def _shared(view: View) -> Table | None:
    """Each generator's share ratios, which W is of, each against all real images."""
    if view.summary.find("shared_collapse") is None:
        return None
    last = finished(view.context.generators)
    views = [each for each in view.by_generator() if each.generator in last]
    rows: list[list[Cell]] = []
    for index in itertools.count():
        found = [each.find("class_share_ratio", None, class_condition(index)) for each in views]
        if not any(found):
            break
        rows.append([index, *found])
    return filled_table(
        "Share of each class among annotated generated images, over that among real ones",
        [
            counts("class"),
            *(estimates(each.generator.name, decimals=2) for each in views),
        ],
        rows,
        key="shared",
    )
