"""AUC of every method by outlier group."""

from matplotlib.figure import Figure as Canvas

from ....reduce.context import GeneratorInfo, ReduceContext
from ....report.dots import height_in_rows, rows_under_groups, whiskers, write_value
from ....report.figure import WIDTH, Figure, bare, draw
from ....report.summary import Estimate, Summary
from .methods import METHODS, any_variant


def auc_figure(context: ReduceContext, generator: GeneratorInfo, summary: Summary) -> Figure | None:
    """AUC of every method by outlier group, with chance as a line."""
    if context.inliers is None:
        return None
    entries: list[tuple[str, str, Estimate, str]] = []
    for group in context.with_role("outlier"):
        for method in METHODS:
            found = method.outlier_auc(
                summary, generator, group.name, context.inliers.name, any_variant(method)
            )
            if found is not None:
                entries.append((group.name, method.words, found, method.colour))
    if not entries:
        return None

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        rows = rows_under_groups(axes, entries)
        for row, (_, _, found, colour) in zip(rows, entries, strict=True):
            axes.errorbar(found.value, row, xerr=whiskers(found), fmt="o", color=colour, ms=6)
            write_value(axes, row, found.fixed(3))
        axes.axvline(0.5, color="#8a8f98", lw=1, ls=(0, (4, 3)))
        axes.set_xlim(-0.02, 1.04)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "0.5", "", "1"])
        axes.set_xlabel("AUC, outlier positive")
        bare(axes)

    words = "; ".join(
        f"{group} by {manner} {found.fixed(3)}" for group, manner, found, _ in entries
    )
    return draw(
        WIDTH,
        0.8 + 0.3 * height_in_rows(entries),
        f"AUC of outlier detection: {words}. Chance is 0.5.",
        f"Can the score tell outliers from {context.inliers.name} images? 95% intervals "
        "over images; left of the dashed line the ranking is upside down.",
        paint,
        key="auc",
    )
