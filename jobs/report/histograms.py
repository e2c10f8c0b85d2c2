"""Histograms of reconstruction error and log density, one row a group on a shared axis."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.figure import FigureBase

from ...core.statistics.classification import mean
from ..audits.inversion.reduce import median
from ..reduce.context import GeneratorInfo, ReduceContext
from .distributions import Distributions, density_distributions, error_distributions
from .figure import Figure, bare, draw, group_colours, label
from .summary import Summary, number

_BINS = 36
_WIDTH = 5.4
_ROW_HEIGHT = 0.62
# An error of exactly 0 has no logarithm; nothing that is measured in float32 is below this.
_SMALLEST_ERROR = 1e-12
# Groups whose range is a smaller part of the axis than this are shown again on their own.
SMALL_PART = 0.3


def error_histogram(context: ReduceContext, generator: GeneratorInfo) -> Figure | None:
    """Histogram of the reconstruction error by group, on a logarithmic axis."""
    found = error_distributions(context, generator)
    if found is None:
        return None
    logs = {
        name: np.log10(np.maximum(errors, _SMALLEST_ERROR)) for name, errors in found.values.items()
    }
    under = "" if found.condition is None else f" ({found.condition})"
    colours = group_colours(list(context.groups))
    medians = ", ".join(
        f"{name} {number(float(np.median(errors)))}" for name, errors in found.values.items()
    )

    def paint(canvas: Canvas) -> None:
        rows = histogram_rows(canvas, logs, colours, median)
        low, high = rows[-1].get_xlim()
        ticks = np.arange(np.ceil(low), np.floor(high) + 1)
        if len(ticks) > 1:
            rows[-1].set_xticks(ticks, [f"$10^{{{int(tick)}}}$" for tick in ticks])
        else:
            rows[-1].set_xticks(
                rows[-1].get_xticks()[1:-1],
                [number(10**tick, 2) for tick in rows[-1].get_xticks()[1:-1]],
            )
        rows[-1].set_xlabel("mean squared error per pixel, images in [0, 1]")

    return draw(
        _WIDTH,
        0.6 + _ROW_HEIGHT * len(logs),
        f"Histograms of reconstruction error by group. Medians: {medians}.",
        f"Reconstruction error{under} of each group after inversion; the line is the median. The "
        "generator's own images, inverted in the same way, are the control.",
        paint,
        key="error",
    )


def density_histograms(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> list[Figure]:
    """Histogram of ln p by group with the typical band of each reference group.

    Where outliers stretch the axis so far that the other groups shrink to a line, a second
    figure shows these groups' own range.
    """
    found = density_distributions(context, generator)
    if found is None:
        return []
    bands = _bands(context, generator, summary, found)
    means = ", ".join(
        f"{name} {number(float(density.mean()), 4)}" for name, density in found.values.items()
    )
    shown = " and ".join(f"{name} [{number(a, 4)}, {number(b, 4)}]" for name, a, b in bands)
    caption = (
        f"Log density ({found.condition}) of each group; the line is the mean. Shaded: where the "
        "mean of a typical set of images lies"
    ) + (f", by {shown}." if shown else " (no reference group, so none is shown).")
    figures = [
        _density_figure(
            context,
            found,
            bands,
            None,
            f"Histograms of log density by group. Means: {means} nats."
            + (f" Typical bands: {shown}." if shown else ""),
            caption,
            "density",
        )
    ]
    window = inner_window(context, found)
    if window is not None:
        span = f"{number(window[0], 4)} to {number(window[1], 4)} nats"
        figures.append(
            _density_figure(
                context,
                found,
                bands,
                window,
                f"The same histograms between {span}, where the groups that are no outliers lie.",
                f"The same from {span}; images outside are counted beside their group.",
                "density-without-outliers",
            )
        )
    return figures


def _density_figure(
    context: ReduceContext,
    found: Distributions,
    bands: list[tuple[str, float, float]],
    window: tuple[float, float] | None,
    alt: str,
    caption: str,
    key: str,
) -> Figure:
    colours = group_colours(list(context.groups))

    def paint(canvas: Canvas) -> None:
        rows = histogram_rows(canvas, found.values, colours, mean, window)
        for axes in rows:
            for name, low, high in bands:
                axes.axvspan(low, high, color=colours[name], alpha=0.16, lw=0, zorder=0)
        rows[-1].set_xlabel(f"ln p(x), nats ({found.condition} density)")

    return draw(
        _WIDTH,
        0.6 + _ROW_HEIGHT * len(found.values),
        alt,
        caption,
        paint,
        key=key,
    )


def inner_window(context: ReduceContext, found: Distributions) -> tuple[float, float] | None:
    """The range of all groups but the outliers, if it is a small part of the whole, else None."""
    outliers = {group.name for group in context.with_role("outlier")}
    inner = [density for name, density in found.values.items() if name not in outliers]
    if not inner:
        return None
    inside, every = np.concatenate(inner), np.concatenate(list(found.values.values()))
    if np.ptp(inside) == 0 or np.ptp(inside) > SMALL_PART * np.ptp(every):
        return None
    margin = 0.05 * float(np.ptp(inside))
    return float(inside.min()) - margin, float(inside.max()) + margin


def _bands(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary, found: Distributions
) -> list[tuple[str, float, float]]:
    bands = []
    for reference in context.references:
        entropy, epsilon = (
            summary.find(
                f"typicality_{name}",
                generator=generator.name,
                group=reference.name,
                conditions=(found.condition,),
            )
            for name in ("entropy", "epsilon")
        )
        if entropy is not None and epsilon is not None:
            centre = -entropy.value
            bands.append((reference.name, centre - epsilon.value, centre + epsilon.value))
    return bands


def histogram_rows(
    canvas: FigureBase,
    values: dict[str, np.ndarray],
    colours: dict[str, str],
    centre: Callable[[np.ndarray], np.ndarray],
    window: tuple[float, float] | None = None,
    *,
    named: bool = True,
) -> list[Axes]:
    """Draws a histogram a group, one below the other on a shared axis, with a line at the centre.

    With a ``window`` only that part of the axis; images outside are counted in words. Groups are
    named at the left; without ``named`` their counts alone stand at the right, for a column beside
    one that names them.
    """
    every = np.concatenate(list(values.values()))
    margin = 0.03 * (float(np.ptp(every)) or 1.0)
    low, high = window or (float(every.min()) - margin, float(every.max()) + margin)
    edges = np.linspace(low, high, _BINS + 1)
    rows = list(np.atleast_1d(canvas.subplots(len(values), 1, sharex=True)))
    for axes, (name, numbers) in zip(rows, values.items(), strict=True):
        heights, _ = np.histogram(numbers, edges)
        axes.stairs(
            heights / max(heights.max(), 1), edges, fill=True, color=colours[name], alpha=0.85
        )
        middle = float(centre(numbers))
        if low <= middle <= high:
            axes.axvline(middle, color="#22262c", lw=1.2)
        outside = int(np.sum((numbers < low) | (numbers > high)))
        counted = f"N = {len(numbers)}" + (f", {outside} outside" if outside else "")
        axes.set_xlim(low, high)
        axes.set_ylim(0, 1.12)
        axes.set_yticks([])
        if not named:
            axes.yaxis.set_label_position("right")
        axes.set_ylabel(
            f"{label(name)}\n{counted}" if named else counted,
            rotation=0,
            ha="right" if named else "left",
            va="center",
            fontsize=9.5,
        )
        bare(axes)
    for axes in rows[:-1]:
        axes.tick_params(bottom=False)
        axes.spines["bottom"].set_color("#d5d8dd")
    return rows
