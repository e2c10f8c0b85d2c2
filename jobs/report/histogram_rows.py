"""Histograms, one row a group on a shared axis."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import FigureBase

from .figure import INK, bare, label

_BINS = 36
ROW_HEIGHT = 0.46


# Groups whose range is a smaller part of the axis than this are shown again on their own.
SMALL_PART = 0.3


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
    edges = histogram_edges(values, window)
    low, high = float(edges[0]), float(edges[-1])
    rows = list(np.atleast_1d(canvas.subplots(len(values), 1, sharex=True)))
    for axes, (name, numbers) in zip(rows, values.items(), strict=True):
        heights, _ = np.histogram(numbers, edges)
        axes.stairs(
            heights / max(heights.max(), 1), edges, fill=True, color=colours[name], alpha=0.85
        )
        middle = float(centre(numbers))
        if low <= middle <= high:
            axes.axvline(middle, color=INK, lw=1.2)
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
            fontsize=9,
        )
        bare(axes)
    rows[-1].locator_params(axis="x", nbins=5)
    for axes in rows[:-1]:
        axes.tick_params(bottom=False)
        axes.spines["bottom"].set_color("#d5d8dd")
    return rows


def histogram_edges(
    values: dict[str, np.ndarray], window: tuple[float, float] | None = None
) -> np.ndarray:
    """The edges of the bins: over the window, or a little more than all values."""
    every = np.concatenate(list(values.values()))
    margin = 0.03 * (float(np.ptp(every)) or 1.0)
    low, high = window or (float(every.min()) - margin, float(every.max()) + margin)
    return np.linspace(low, high, _BINS + 1)
