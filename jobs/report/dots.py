"""Estimates with their intervals, as dots or bars with whiskers."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from .drawn import Drawn
from .figure import WIDTH, Figure, bare, draw, guide, label
from .summary import Estimate, number
from .table import Column, N, estimates

ROW_HEIGHT = 0.28
# Points: a letter of a tick, and the least between two ticks.
_LETTER, _TICK_GAP = 5.5, 4


@dataclass(frozen=True)
class Entry:
    """An estimate of a group by one of several methods, and the method's colour."""

    group: str
    method: str
    found: Estimate
    colour: str


def methods_figure(
    entries: Sequence[Entry],
    mark: Callable[[Axes, int, Entry], None],
    finish: Callable[[Axes], None],
    words: tuple[str, str],
    *,
    chance: float,
    decimals: int,
    what: str,
    key: str,
) -> Figure:
    """Every group's methods one below the other, the numbers at the right, and a line at chance.

    ``mark`` draws an entry in its row, ``finish`` what belongs to the axes. ``words`` are the
    alternative text, in which ``{}`` stands for all the numbers, and the caption. ``what`` says
    what the numbers are.
    """

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        for row, entry in zip(_rows_under_groups(axes, entries), entries, strict=True):
            mark(axes, row, entry)
            _write_value(axes, row, entry.found.fixed(decimals))
        guide(axes, chance)
        finish(axes)
        bare(axes)

    alt, caption = words
    every = "; ".join(
        f"{each.group} by {each.method} {each.found.fixed(decimals)}" for each in entries
    )
    rows = len(entries) + len({entry.group for entry in entries})
    data = Drawn(
        [Column("group"), Column("by"), estimates(what), N],
        [[each.group, each.method, each.found, each.found.n] for each in entries],
    )
    return draw(WIDTH, 0.6 + 0.25 * rows, alt.format(every), caption, paint, data=data, key=key)


def symlog_dots(
    axes: Axes,
    found: dict[str, Estimate],
    colours: dict[str, str],
    texts: dict[str, str],
    linear: float,
) -> None:
    """Estimates with whiskers about a line at 0, one row a group, the number written at the right.

    The axis is linear up to so many units and logarithmic beyond.
    """
    guide(axes, 0, zorder=0)
    axes.set_xscale("symlog", linthresh=linear, linscale=1.2)
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
        _write_value(axes, row, texts[name])
    axes.set_yticks(range(len(found)), [label(name) for name in found])
    axes.set_ylim(len(found) - 0.5, -0.5)
    bare(axes)


def whiskers(found: Estimate) -> list[list[float]] | None:
    """The interval as matplotlib's ``xerr``; None where there is none."""
    if math.isnan(found.low):
        return None
    return [[found.value - found.low], [found.high - found.value]]


def symlog_ticks(axes: Axes, linear: float, width: float = 150) -> None:
    """0, decades, and the ends of the linear part, as far as they can be read side by side.

    ``width`` is about that of the axes in points.
    """
    low, high = axes.get_xlim()
    furthest = max(-low, high)
    # Every other decade, and none right beside the end of the linear part: they must be read.
    first = math.floor(math.log10(10 * linear)) + 1
    last = math.floor(math.log10(furthest)) if furthest > linear else first - 1
    decades = [10.0**power for power in range(last, first - 1, -2)]
    wanted = [
        0.0,
        *(side * tick for tick in (*decades[:1], linear, *decades[1:]) for side in (1, -1)),
    ]
    shown: dict[float, str] = {}
    for tick in wanted:
        text = number(tick, 2)
        if low <= tick <= high and all(
            width * abs(_fraction(axes, tick) - _fraction(axes, other))
            > _LETTER * (len(text) + len(known)) / 2 + _TICK_GAP
            for other, known in shown.items()
        ):
            shown[tick] = text
    axes.set_xticks(list(shown), list(shown.values()))
    axes.set_xticks([], minor=True)


def _fraction(axes: Axes, value: float) -> float:
    """Where a value lies along the horizontal axis, from 0 to 1."""
    at = axes.transData.transform((value, 0))
    return float(axes.transAxes.inverted().transform(at)[0])


def _rows_under_groups(axes: Axes, entries: Sequence[Entry]) -> list[int]:
    """A row for every entry, named by its method, under a row with the name of its group."""
    rows: list[int] = []
    names: list[str] = []
    groups: list[int] = []
    for index, entry in enumerate(entries):
        if index == 0 or entry.group != entries[index - 1].group:
            groups.append(len(names))
            names.append(label(entry.group))
        rows.append(len(names))
        names.append(entry.method)
    axes.set_yticks(range(len(names)), names)
    for row in groups:
        axes.get_yticklabels()[row].set_fontweight("bold")
    axes.set_ylim(len(names) - 0.5, -0.5)
    return rows


def _write_value(axes: Axes, row: float, text: str) -> None:
    """Writes a row's number at the right of the axes."""
    axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=9.5)
