"""Accuracy of every classifier by group."""

from matplotlib.axes import Axes

from ....report.dots import Entry, methods_figure, whiskers
from ....report.figure import INK, Figure
from ....report.summary import number
from ....report.view import View
from ..outliers.methods import METHODS


def accuracy_figure(view: View) -> Figure | None:
    """Accuracy of every classifier by group, in percent, as bars, with chance as a line."""
    entries: list[Entry] = []
    for group in view.context.groups:
        found = [(method, method.accuracy(view, group.name)) for method in METHODS]
        if any(accuracy is not None for method, accuracy in found if not method.baseline):
            entries += [
                Entry(group.name, method.words, accuracy.scaled(100), method.colour)
                for method, accuracy in found
                if accuracy is not None
            ]
    if not entries:
        return None

    def mark(axes: Axes, row: int, entry: Entry) -> None:
        found = entry.found
        axes.barh(row, found.value, height=0.62, color=entry.colour, alpha=0.75)
        axes.errorbar(found.value, row, xerr=whiskers(found), fmt="none", ecolor=INK, capsize=3)

    def finish(axes: Axes) -> None:
        axes.set_xlim(0, 101)
        axes.set_xlabel("images given their own class, %")

    chance = view.generator.chance
    return methods_figure(
        entries,
        mark,
        finish,
        (
            f"Accuracy of classification in percent: {{}}. Chance is {number(chance)}.",
            "Share of images given their own class, with 95% intervals; the dashed line is chance. "
            "The nearest training image is the baseline that a generator should reach.",
        ),
        chance=chance,
        decimals=1,
        what="accuracy, %",
        key="accuracy",
    )
