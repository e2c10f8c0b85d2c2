"""The table of blame: class by class, what every audit that ran found of it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import get_args

from ....reduce.context import GroupInfo
from ....reduce.schema import class_condition
from ....report.section import PageView, Section, present
from ....report.summary import Estimate
from ....report.table import Column, counts, estimates, filled_table, numbers
from ....report.view import View
from ...class_shares.settings import Architecture
from ...copies.plan import GENERATED
from ...copies.reduce import TRAINING

_TITLE = "What is wrong with which class?"
_WORDS = (
    "One row a class, one column for each thing that can be wrong with it, from the audits that "
    "ran. Under-produced: the class's share of generated images over that of real ones, as the "
    "annotator sees both; below 1. Not reconstructed: how often a held-out image comes back with "
    "a larger error than one of the generator's own; above that of other classes (near 100% in "
    "all of them no class stands out: none of the data is on the manifold). Memorised: the same "
    "against training images; above 50%, and only if the held-out images are no harder. Not "
    "taught: the accuracy on real images of classifiers that learned from generated ones; far "
    "below that of classifiers of real ones. Copied: the share of images nearest to a training "
    "image of the class that are copies; above 0, and only if the placebo in the section on "
    "copies is silent."
)
_CARE = (
    "Nobody is convicted here: each interval holds for itself, and of twenty that are right one is "
    "expected to miss. A class that several columns speak against deserves a look; the sections of "
    "these audits have their tests and controls. A dash in a column that has numbers is a class "
    "for which there were too few images on one side."
)


@dataclass(frozen=True)
class _Blame:
    """A column: what it finds of the class of a condition, and why it is empty where it is."""

    column: Column
    find: Callable[[str], Estimate | None]
    missing: str


def blame_section(view: PageView) -> Section:
    """Class by class what is under-produced, not reconstructed, memorised, not taught or copied."""
    columns = list(_columns(view))
    classes = range(_class_count(view))
    found = [[blame.find(class_condition(index)) for blame in columns] for index in classes]
    empty = [blame for at, blame in enumerate(columns) if all(cells[at] is None for cells in found)]
    if len(empty) == len(columns):
        return Section("blame", _TITLE, [], [], [])
    table = filled_table(
        "What was found by class",
        [counts("class"), *(blame.column for blame in columns)],
        [
            [index, *cells]
            for index, cells in zip(classes, found, strict=True)
            if any(cell is not None for cell in cells)
        ],
        key="blame",
    )
    return Section("blame", _TITLE, [_WORDS, *_reasons(empty), _CARE], [], present(table))


def _reasons(empty: Sequence[_Blame]) -> list[str]:
    if not empty:
        return []
    columns_of: dict[str, list[str]] = {}
    for blame in empty:
        name = blame.column.over or blame.column.header
        names = columns_of.setdefault(blame.missing, [])
        names += [] if name in names else [name]
    told = "; ".join(f"{', '.join(names)}: {why}" for why, names in columns_of.items())
    return [f"Left out: {told}."]


def _class_count(view: View) -> int:
    """One more than the largest class that any row of the summary is of."""
    prefix = class_condition(0).removesuffix("0")
    numbers_found = [
        int(tail)
        for row in view.summary.rows("")
        if row["generator"] == view.generator.name
        for _, found, tail in [str(row["condition"]).rpartition(prefix)]
        if found and tail.isdigit()
    ]
    return max(numbers_found, default=-1) + 1


def _columns(view: View) -> Iterator[_Blame]:
    yield _Blame(
        estimates("under-produced, ×", decimals=2),
        lambda condition: view.find("class_share_ratio", None, condition),
        _reason(view, "annotations", "class_shares", "no images were annotated"),
    )
    tests = view.context.with_role("test")
    yield _recovery(view, "not reconstructed, %", tests, "generated")
    yield _recovery(view, "memorised, %", tests, "train")
    yield _taught(view, "by generated", "classifier_class_accuracy")
    yield _taught(view, "by real", "classifier_class_accuracy_real")
    yield _Blame(
        estimates("copied, %", decimals=1, scale=100),
        lambda condition: view.find("copies_class_share", GENERATED, condition, against=TRAINING),
        _reason(view, "copies", "copies", "the training images have no classes"),
    )


def _recovery(view: View, header: str, tests: Sequence[GroupInfo], role: str) -> _Blame:
    """The first held-out group against the first group of a role."""
    others = [group for group in view.context.groups if group.role == role]
    if not tests or not others:
        absent = "test" if not tests else role
        reason = f"there is no group with role `{absent}`"
    else:
        otherwise = "the generator was not inverted, or the images of a group have no classes"
        reason = _reason(view, "inversion", "inversion", otherwise)

    def find(condition: str) -> Estimate | None:
        if not tests or not others:
            return None
        return view.find("recovery_auc", tests[0].name, condition, against=others[0].name)

    return _Blame(estimates(header, decimals=1, scale=100), find, reason)


def _taught(view: View, header: str, metric: str) -> _Blame:
    """An accuracy of classifiers by class, of the first architecture that has any."""
    architecture = _architecture(view)
    return _Blame(
        replace(numbers(header, decimals=1, scale=100), over="not taught, accuracy in %"),
        lambda condition: view.find(metric, None, f"{architecture}, {condition}"),
        _reason(view, "classifiers", "diversity", "no classifier was trained on both"),
    )


def _architecture(view: View) -> str:
    """The first architecture whose classifiers' accuracies by class are known."""
    known = {
        str(row["condition"]).partition(",")[0]
        for row in view.summary.rows("classifier_class_accuracy")
        if row["generator"] == view.generator.name
    }
    architectures: tuple[str, ...] = get_args(Architecture)
    return next((name for name in architectures if name in known), architectures[0])


def _reason(view: View, table: str, stage: str, otherwise: str) -> str:
    """Why a column is empty: its stage did not run, or what it then lacked."""
    return otherwise if view.context.tables.has(table) else f"`stages.{stage}` did not run"
