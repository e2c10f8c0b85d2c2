"""Mean log densities beside the model's own."""

from matplotlib.figure import Figure as Canvas

from ....reduce.context import GroupInfo
from ....report.dots import ROW_HEIGHT, symlog_dots, symlog_ticks
from ....report.drawn import drawn_estimates
from ....report.figure import WIDTH, Figure, draw, label
from ....report.summary import number
from ....report.view import View
from ....report.words import BOUND
from .question import find_deviation


def typicality_figures(view: View) -> list[Figure]:
    """Deviation of every group from each reference, what counts as typical shaded."""
    figures = [_typicality_figure(view, reference) for reference in view.context.references]
    return [figure for figure in figures if figure is not None]


def _typicality_figure(view: View, reference: GroupInfo) -> Figure | None:
    found = {
        group.name: deviation
        for group in view.context.groups_and_null
        if (deviation := find_deviation(view, group.name, reference.name))
    }
    if not found:
        return None
    deviations = {name: each.found for name, each in found.items()}
    texts = {name: each.text() for name, each in deviations.items()}
    # That of the null's reference, under another variance, is nearly the same.
    band = next(iter(found.values())).margin

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        axes.axvspan(-band, band, color=view.colours[reference.name], alpha=0.18, lw=0, zorder=0)
        # Linear in the band, where the answer lies; outliers may be a hundred bands away.
        symlog_dots(axes, deviations, view.colours, texts, band)
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -2 * band), max(high, 2 * band))
        symlog_ticks(axes, band)
        canvas.supxlabel(f"mean ln p minus that of {label(reference.name)}, nats")

    sort = (
        "the model's own samples with their noise"
        if reference.role == "simulated"
        else "noise-free generated images, as in the papers: these are denser than any data"
    )
    listed = ", ".join(f"{name} {text}" for name, text in texts.items())
    return draw(
        WIDTH,
        0.6 + ROW_HEIGHT * len(texts),
        f"Deviation of each group's mean log density from that of {reference.name}: "
        f"{listed} nats; up to ±{number(band)} counts as typical.",
        f"Against {reference.name} ({sort}). The shaded band, ±{number(band)} nats, is half of the "
        f"spread of one sample. The axis is linear in the band and logarithmic beyond; {BOUND}.",
        paint,
        data=drawn_estimates(deviations, f"mean ln p minus that of {reference.name}, nats"),
        key=f"band-{reference.name}",
    )
