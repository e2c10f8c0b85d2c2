"""Estimates with their intervals, as dots with whiskers."""

import math

from matplotlib.axes import Axes

from .figure import bare, label
from .summary import Estimate, number


def rows_under_groups(axes: Axes, entries: list[tuple[str, str, Estimate, str]]) -> list[int]:
    """A row for every entry, named by its method, under a row with the name of its group."""
    rows: list[int] = []
    names: list[str] = []
    groups: list[int] = []
    for index, (group, manner, _, _) in enumerate(entries):
        if index == 0 or group != entries[index - 1][0]:
            groups.append(len(names))
            names.append(label(group))
        rows.append(len(names))
        names.append(manner)
    axes.set_yticks(range(len(names)), names)
    for row in groups:
        axes.get_yticklabels()[row].set_fontweight("bold")
    axes.set_ylim(len(names) - 0.5, -0.5)
    return rows


def height_in_rows(entries: list[tuple[str, str, Estimate, str]]) -> int:
    """How many rows the entries and the names of their groups take."""
    return len(entries) + len({group for group, _, _, _ in entries})


def whiskers(found: Estimate) -> list[list[float]] | None:
    """The interval as matplotlib's ``xerr``; None where there is none."""
    if math.isnan(found.low):
        return None
    return [[found.value - found.low], [found.high - found.value]]


def write_value(axes: Axes, row: float, text: str) -> None:
    """Writes a row's number at the right of the axes."""
    axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=9.5)


ROW_HEIGHT = 0.36


def symlog(axes: Axes, linear: float) -> None:
    """Makes the horizontal axis linear up to so many units, and logarithmic beyond."""
    axes.set_xscale("symlog", linthresh=linear, linscale=1.2)


def symlog_ticks(axes: Axes, linear: float) -> None:
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


def dots(
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
