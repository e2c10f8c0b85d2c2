"""Mean log densities by group: from the most likely to the least, and beside the model's own."""

import math

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ..audits.across.ranking.question import EVERY_GROUP, find_lead
from ..audits.across.typicality.question import find_deviation
from ..reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from .estimates_figure import whiskers, write_value
from .figure import Figure, bare, draw, group_colours, label
from .summary import MISSING, Estimate, Summary, number

_WIDTH = 5.4
_ROW_HEIGHT = 0.36
# Outliers may lie a hundred times as far behind as the data.
_LINEAR_NATS = 10.0


def ranking_figure(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Figure | None:
    """Mean ln p of every group under one condition, the likeliest above."""
    lead = find_lead(context, summary, generator, EVERY_GROUP)
    if lead is None:
        return None
    condition = lead.over[lead.runner_up].condition
    texts = {}
    for name in (lead.leader, *lead.over):
        mean = summary.find(
            "log_likelihood_mean", generator=generator.name, group=name, conditions=(condition,)
        )
        texts[name] = MISSING if mean is None else mean.text(4)
    nothing = Estimate(0.0, math.nan, math.nan, lead.over[lead.runner_up].n, condition)
    behind = {name: each.scaled(-1) for name, each in {lead.leader: nothing, **lead.over}.items()}
    colours = group_colours(list(context.groups))

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        axes.axvline(0, color="#8a8f98", lw=1, ls=(0, (4, 3)), zorder=0)
        _symlog(axes, _LINEAR_NATS)
        _dots(axes, behind, colours, texts)
        axes.set_title(f"mean ln p, nats, {condition}", loc="right", fontsize=9.5)
        _ticks(axes, _LINEAR_NATS)
        axes.set_xlabel(f"nats behind {label(lead.leader)}")

    listed = ", ".join(f"{name} {found}" for name, found in texts.items())
    return draw(
        _WIDTH,
        1.0 + _ROW_HEIGHT * len(texts),
        f"Groups from the most likely to the least by mean log density: {listed} nats.",
        f"How far each group's mean ln p lies behind that of {lead.leader}, the most likely, with "
        "the 95% interval of the difference; the means are at the right. The axis is linear up to "
        f"{number(_LINEAR_NATS, 2)} nats and logarithmic beyond. Generated images have no "
        "observation noise, which alone makes them denser than images with it.",
        paint,
        key="ranking",
    )


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
        _symlog(axes, band)
        _dots(axes, deviations, colours, {name: each.text() for name, each in deviations.items()})
        low, high = axes.get_xlim()
        axes.set_xlim(min(low, -2 * band), max(high, 2 * band))
        _ticks(axes, band)
        axes.set_xlabel(f"mean ln p minus that of {label(reference.name)}, nats")

    sort = (
        "the model's own samples with their noise"
        if reference.role == "simulated"
        else "noise-free generated images, as in the papers: these are denser than any data"
    )
    listed = ", ".join(f"{name} {found.text()}" for name, found in deviations.items())
    return draw(
        _WIDTH,
        0.8 + _ROW_HEIGHT * len(deviations),
        f"Deviation of each group's mean log density from that of {reference.name}: "
        f"{listed} nats; up to ±{number(band)} counts as typical.",
        f"Against {reference.name} ({sort}). The shaded band, ±{number(band)} nats, is half of the "
        "spread of one sample. The axis is linear in the band and logarithmic beyond.",
        paint,
        key=f"band-{reference.name}",
    )


def _symlog(axes: Axes, linear: float) -> None:
    axes.set_xscale("symlog", linthresh=linear, linscale=1.2)


def _ticks(axes: Axes, linear: float) -> None:
    """0, the ends of the linear part, and few enough decades beyond to be read."""
    low, high = axes.get_xlim()
    furthest = max(-low, high)
    # Every other decade, and none right beside the end of the linear part: they must be read.
    first = math.floor(math.log10(10 * linear)) + 1
    last = math.floor(math.log10(furthest)) if furthest > linear else first - 1
    decades = [10.0**power for power in range(last, first - 1, -2)]
    ticks = [linear, *decades]
    every = sorted({0.0, *ticks, *[-tick for tick in ticks]})
    shown = [tick for tick in every if low <= tick <= high]
    axes.set_xticks(shown, [number(tick, 2) for tick in shown])
    axes.set_xticks([], minor=True)


def _dots(
    axes: Axes, found: dict[str, Estimate], colours: dict[str, str], texts: dict[str, str]
) -> None:
    """Estimates with whiskers, one row a group, the number written at the right."""
    for row, (name, estimate) in enumerate(found.items()):
        axes.errorbar(
            estimate.value,
            row,
            xerr=whiskers(estimate),
            fmt="o",
            color=colours[name],
            ms=6,
            capsize=3,
        )
        write_value(axes, row, texts[name])
    axes.set_yticks(range(len(found)), [label(name) for name in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    bare(axes)
