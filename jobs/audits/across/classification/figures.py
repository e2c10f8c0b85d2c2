"""Accuracy of every classifier by group."""

from matplotlib.figure import Figure as Canvas

from ....reduce.context import GeneratorInfo, ReduceContext
from ....report.dots import height_in_rows, rows_under_groups, whiskers, write_value
from ....report.figure import WIDTH, Figure, bare, draw
from ....report.summary import Estimate, Summary, number
from ..outliers.methods import METHODS


def accuracy_figure(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Figure | None:
    """Accuracy of every classifier by group, in percent, as bars, with chance as a line."""
    entries: list[tuple[str, str, Estimate, str]] = []
    for group in context.groups:
        found = [(method, method.accuracy(summary, generator, group.name)) for method in METHODS]
        if any(accuracy is not None for method, accuracy in found if not method.baseline):
            entries += [
                (group.name, method.words, accuracy.scaled(100), method.colour)
                for method, accuracy in found
                if accuracy is not None
            ]
    if not entries:
        return None
    chance = 100 / generator.num_classes

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        rows = rows_under_groups(axes, entries)
        for row, (_, _, found, colour) in zip(rows, entries, strict=True):
            axes.barh(row, found.value, height=0.62, color=colour, alpha=0.75)
            axes.errorbar(
                found.value, row, xerr=whiskers(found), fmt="none", ecolor="#22262c", capsize=3
            )
            write_value(axes, row, found.fixed(1))
        axes.axvline(chance, color="#8a8f98", lw=1, ls=(0, (4, 3)))
        axes.set_xlim(0, 101)
        axes.set_xlabel("images given their own class, %")
        bare(axes)

    words = "; ".join(
        f"{group} by {manner} {found.fixed(1)}" for group, manner, found, _ in entries
    )
    return draw(
        WIDTH,
        0.8 + 0.3 * height_in_rows(entries),
        f"Accuracy of classification in percent: {words}. Chance is {number(chance)}.",
        "Share of images given their own class, with 95% intervals; the dashed line is chance. The "
        "nearest training image is the baseline that a generator should reach.",
        paint,
        key="accuracy",
    )
