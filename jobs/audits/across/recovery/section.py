"""The report's section on held-out recovery."""

from functools import partial

import numpy as np

from ....reduce.context import GroupInfo
from ....reduce.groups import GroupValues, group_values
from ....reduce.schema import NEAREST_CLASS, OWN, class_condition
from ....report.figure import Figure, mosaic
from ....report.pictures import SHOWN, group_title, if_drawn
from ....report.section import PageView, Section, present
from ....report.summary import Estimate, number
from ....report.table import Cell, Column, Table, estimates, filled_table
from ....report.verdict import decide
from ....report.view import View
from ...inversion.pictures import picture_numbers, pictured
from ...inversion.question import CONTROL_PSNR
from .errors import compared_groups

_WHOLE = (OWN, NEAREST_CLASS, None)
# Of a pair of images that come back alike each has the larger error as often.
_ALIKE = 0.5


def recovery_section(view: PageView) -> Section:
    """Held-out against training images, the control, and the images that came back worst."""
    table = _table(view)
    if table is None or not view.context.with_role("test"):
        return Section("recovery", _TITLE, [], [], [])
    return Section(
        "recovery",
        _TITLE,
        [_METHOD, *_conclusions(view), _CLASSES],
        [
            figure
            for group in view.context.with_role("test", "generated")
            for figure in present(if_drawn(partial(_worst, view, group)))
        ],
        [table],
    )


_TITLE = "Do held-out images come back as training images do?"
_METHOD = (
    "A generator that memorised its training images makes these again, and others like them less "
    "well. So the errors of the inversion are compared: of an image of one group and one of "
    "another of the same class, how often has the first the larger error? Half of the time where "
    "they come back alike. The generator's own images are the control: they say how well the "
    "search finds what is on the manifold."
)
_CLASSES = (
    "Each interval of a class holds for it alone: of twenty classes without a difference one is "
    "expected to look as if it had one. The pictures are those that came back worst, of held-out "
    "images and of the generator's own."
)


def recovery_over(view: View, first: str, second: str, condition: str = "") -> Estimate | None:
    """How often a group's images come back worse than another's: over all, or of one class."""
    conditions = (condition,) if condition else _WHOLE
    return view.find("recovery_auc", first, *conditions, against=second)


def recovery_classes(view: View, first: str, second: str) -> list[int]:
    """The classes of which that is known, in order."""
    prefix = class_condition(0).removesuffix("0")
    return sorted(
        int(str(row["condition"]).removeprefix(prefix))
        for row in view.summary.rows("recovery_auc")
        if (row["generator"], row["group"], row["against"]) == (view.generator.name, first, second)
        and str(row["condition"]).startswith(prefix)
    )


def _conclusions(view: View) -> list[str]:
    """What each held-out group says, and what the control lets be said at all."""
    told = []
    for test in view.context.with_role("test"):
        for train in view.context.with_role("train"):
            found = recovery_over(view, test.name, train.name)
            if found is not None:
                told.append(_sentence(test.name, train.name, found))
    return [*told, _control(view)] if told else []


def _sentence(test: str, train: str, found: Estimate) -> str:
    share = f"{found.scaled(100).text()}% of pairs (N = {found.n})"
    side = decide(found, _ALIKE)
    if side == "above":
        return (
            f"{test} images come back worse than {train} images in {share}. That is a sign of "
            "memorisation only if the two are alike otherwise: held-out images that are harder "
            "give the same, and no image that the generator makes can tell the one from the other."
        )
    if side == "below":
        return (
            f"{test} images come back worse than {train} images in {share}, less than half: no "
            "sign of memorisation, but a sign that the two differ by something else."
        )
    return (
        f"{test} images come back worse than {train} images in {share}: no difference is shown, "
        f"and one of up to {number(found.high * 100)}% is not excluded. Without a difference there "
        "is no sign of memorisation, which is not to say that nothing was memorised: copies of a "
        "few images do not show here."
    )


def _control(view: View) -> str:
    for group in view.context.with_role("generated"):
        own = view.find("psnr_of_mean_mse", group.name, *_WHOLE)
        if own is not None and own.value < CONTROL_PSNR:
            return (
                f"The generator's own images ({group.name}) come back with {own.text()} dB only, "
                f"less than {CONTROL_PSNR:.0f}: the search is the limit, it can hide a difference, "
                "and none that it shows need be the generator's."
            )
        if own is not None:
            return (
                f"The generator's own images ({group.name}) come back with {own.text()} dB: the "
                "search finds what the generator can make, so that errors speak of the generator."
            )
    return (
        "There are no images of the generator's own (a group with role `generated`) to say how "
        "well the search finds what it can make: neither a difference nor its absence can be laid "
        "at the generator's door."
    )


def _table(view: View) -> Table | None:
    pairs = [
        (first, second)
        for first, second in compared_groups(view.context)
        if recovery_over(view, first, second) is not None
    ]
    if not pairs:
        return None
    rows: list[list[Cell]] = [["all", *(recovery_over(view, *pair) for pair in pairs)]]
    for index in sorted({each for pair in pairs for each in recovery_classes(view, *pair)}):
        found = [recovery_over(view, *pair, class_condition(index)) for pair in pairs]
        rows.append([str(index), *found])
    return filled_table(
        "How often an image of the first group has a larger error than one of the second, %",
        [Column("class"), *(estimates(f"{a} > {b}", decimals=1, scale=100) for a, b in pairs)],
        rows,
        key="recovery",
    )


def _worst(view: PageView, group: GroupInfo) -> Figure | None:
    """The images of a group with the largest errors of the inversion, the worst first."""
    frame = view.context.tables.read("inversion", ["mse"])
    if frame is None or not view.context.tables.has("images"):
        return None
    values: GroupValues | None = group_values(view.context, frame, "mse", view.generator).get(
        group.name
    )
    if values is None or not len(values.own_values()):
        return None
    errors = values.own
    known = np.flatnonzero(~np.isnan(errors))
    chosen = known[np.argsort(-errors[known], kind="stable")][:SHOWN]
    span = f"{number(float(errors[chosen].max()))} to {number(float(errors[chosen].min()))}"
    return mosaic(
        pictured(view, values, chosen),
        f"The {len(chosen)} {group.name} images of {len(known)} that came back worst, above their "
        f"reconstructions; mean squared errors from {span}.",
        f"{group_title(group)}: the worst {len(chosen)} of {len(known)}, originals above, "
        f"reconstructions below; squared errors {span}.",
        key=f"worst-{group.name}",
        data=picture_numbers(values, chosen),
    )
