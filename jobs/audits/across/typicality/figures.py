"""Mean log densities beside the model's own."""

from matplotlib.figure import Figure as Canvas

from ....reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from ....report.dots import ROW_HEIGHT, dots, symlog, symlog_ticks
from ....report.figure import WIDTH, Figure, draw, group_colours, label
from ....report.summary import Summary, number
from .question import find_deviation


def typicality_figures(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> list[Figure]:
    """Deviation of every group from each reference, what counts as typical shaded."""
    figures = [
        _typicality_figure(context, generator, summary, reference)
        for reference in context.references
    ]
    return [figure for figure in figures if figure is not None]


def _typicality_figure(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary, reference: GroupInfo
) -> Figure | None:
    found = {
        group.name: deviation
        for group in context.groups_and_null
        if (deviation := find_deviation(summary, generator, group.name, reference.name))
    }
    if not found:
        return None
    deviations = {name: each.found for name, each in found.items()}
    # That of the null's reference, under another variance, is nearly the same.
    band = next(iter(found.values())).margin
    colours = group_colours(list(context.groups_and_null))

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        axes.axvspan(-band, band, color=colours[reference.name], alpha=0.18, lw=0, zorder=0)
        axes.axvline(0, color="#8a8f98", lw=1, ls=(0, (4, 3)), zorder=0)
        # Linear in the band, where the answer lies; outliers may be a hundred bands away.
        symlog(axes, band)
        dots(axes, deviations, colours, {name: each.text() for name, each in deviations.items()})
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -2 * band), max(high, 2 * band))
        symlog_ticks(axes, band)
        axes.set_xlabel(f"mean ln p minus that of {label(reference.name)}, nats")

    sort = (
        "the model's own samples with their noise"
        if reference.role == "simulated"
        else "noise-free generated images, as in the papers: these are denser than any data"
    )
    listed = ", ".join(f"{name} {found.text()}" for name, found in deviations.items())
    return draw(
        WIDTH,
        0.8 + ROW_HEIGHT * len(deviations),
        f"Deviation of each group's mean log density from that of {reference.name}: "
        f"{listed} nats; up to ±{number(band)} counts as typical.",
        f"Against {reference.name} ({sort}). The shaded band, ±{number(band)} nats, is half of the "
        "spread of one sample. The axis is linear in the band and logarithmic beyond.",
        paint,
        key=f"band-{reference.name}",
    )
