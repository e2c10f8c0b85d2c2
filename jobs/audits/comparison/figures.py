"""The gap between the estimators, image by image."""

from matplotlib.figure import Figure as Canvas

from ...report.drawn import drawn_values
from ...report.figure import WIDTH, Figure, draw
from ...report.strips import AXIS_WORDS, in_order, means_in_words, strips
from ...report.view import View
from ...report.words import BOUND
from .reduce import estimator_gaps


def gap_figure(view: View) -> Figure | None:
    """Ln p by the trusted estimator minus ln p by the other, of every image, by group."""
    gaps = estimator_gaps(view.context, view.generator)
    if gaps is None or not gaps.by_group:
        return None
    by_group = in_order(view, gaps.by_group)
    subtraction = f"{gaps.estimator} minus {gaps.other}"

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        strips(axes, by_group, view.colours)
        canvas.supxlabel(f"ln p(x), {subtraction}, nats")

    return draw(
        WIDTH,
        0.6 + 0.26 * len(by_group),
        f"Gap between the estimators' log densities of single images, {subtraction}. "
        f"Means: {means_in_words(by_group)} nats.",
        f"Each dot is an image under its own class, the bar its group's mean. Right of 0 the "
        f"{gaps.estimator} estimate is higher; {BOUND}. {AXIS_WORDS}",
        paint,
        data=drawn_values(by_group, f"ln p, {subtraction}, nats"),
        key="gap",
    )
