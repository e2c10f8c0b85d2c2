"""AUC of every method by outlier group."""

from matplotlib.axes import Axes

from ....report.dots import Entry, methods_figure, whiskers
from ....report.figure import Figure
from ....report.view import View
from .methods import CHANCE, METHODS, any_variant


def auc_figure(view: View) -> Figure | None:
    """AUC of every method by outlier group, with chance as a line."""
    inliers = view.context.inliers
    if inliers is None:
        return None
    entries = [
        Entry(group.name, method.words, found, method.colour)
        for group in view.context.with_role("outlier")
        for method in METHODS
        if (found := method.outlier_auc(view, group.name, inliers.name, *any_variant(method)))
    ]
    if not entries:
        return None

    def mark(axes: Axes, row: int, entry: Entry) -> None:
        found = entry.found
        axes.errorbar(found.value, row, xerr=whiskers(found), fmt="o", color=entry.colour, ms=6)

    def finish(axes: Axes) -> None:
        axes.set_xlim(-0.02, 1.04)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        axes.set_xlabel("AUC, outlier positive")

    return methods_figure(
        entries,
        mark,
        finish,
        (
            "AUC of outlier detection: {}. Chance is 0.5.",
            f"Can the score tell outliers from {inliers.name} images? 95% intervals over images; "
            "left of the dashed line the ranking is reversed.",
        ),
        chance=CHANCE,
        decimals=3,
        what="AUC",
        key="auc",
    )
