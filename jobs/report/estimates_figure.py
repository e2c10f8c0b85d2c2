"""Estimates with their intervals, as dots with whiskers."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from ..audits.across.outliers.methods import METHODS, any_variant
from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.tables import list_means, read_stage, succeeded
from .figure import Figure, bare, draw, label
from .summary import Estimate, Summary, number

_WIDTH = 5.4


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
        rows = _rows_under_groups(axes, entries)
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
        _WIDTH,
        0.8 + 0.3 * _height_in_rows(entries),
        f"AUC of outlier detection: {words}. Chance is 0.5.",
        f"Can the score tell outliers from {context.inliers.name} images? 95% intervals "
        "over images; left of the dashed line the ranking is upside down.",
        paint,
        key="auc",
    )


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
        rows = _rows_under_groups(axes, entries)
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
        _WIDTH,
        0.8 + 0.3 * _height_in_rows(entries),
        f"Accuracy of classification in percent: {words}. Chance is {number(chance)}.",
        "Share of images given their own class, with 95% intervals; the dashed line is chance. The "
        "nearest training image is the baseline that a generator should reach.",
        paint,
        key="accuracy",
    )


def tuning_figure(context: ReduceContext, generator: GeneratorInfo) -> Figure | None:
    """Step size and acceptance of the pilot images along the annealing path."""
    frame = read_stage(context.run_dir, "tuning", ["beta", "step_size", "acceptance"])
    if frame is None:
        return None
    pilots = succeeded(frame)
    pilots = pilots[pilots["generator"] == generator.name]
    if not len(pilots):
        return None
    acceptance = float(np.mean(list_means(pilots["acceptance"])))

    def paint(canvas: Canvas) -> None:
        left, right = canvas.subplots(1, 2)
        for beta, sizes, rates in pilots[["beta", "step_size", "acceptance"]].itertuples(
            index=False
        ):
            # One step size a transition: the last increment is followed by none.
            left.plot(beta[-len(sizes) :], sizes, color="#0072b2", lw=0.8, alpha=0.45)
            right.plot(beta[-len(rates) :], rates, color="#009e73", lw=0.8, alpha=0.45)
        left.set_yscale("log")
        left.set_ylabel("step size")
        right.set_ylabel("acceptance")
        right.set_ylim(0, 1)
        for axes in (left, right):
            axes.set_xlabel("β")

    return draw(
        _WIDTH,
        2.6,
        f"Step size and acceptance of {len(pilots)} pilot images along the annealing path; the "
        f"mean acceptance is {acceptance:.2f}.",
        f"What {len(pilots)} pilot images settled on along the path from prior (β = 0) to "
        "posterior (β = 1). Their common schedule was frozen for every image.",
        paint,
        key="tuning",
    )


def _rows_under_groups(axes: Axes, entries: list[tuple[str, str, Estimate, str]]) -> list[int]:
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


def _height_in_rows(entries: list[tuple[str, str, Estimate, str]]) -> int:
    return len(entries) + len({group for group, _, _, _ in entries})


def whiskers(found: Estimate) -> list[list[float]] | None:
    """The interval as matplotlib's ``xerr``; None where there is none."""
    if math.isnan(found.low):
        return None
    return [[found.value - found.low], [found.high - found.value]]


def write_value(axes: Axes, row: float, text: str) -> None:
    """Writes a row's number at the right of the axes."""
    axes.annotate(text, (1.02, row), xycoords=("axes fraction", "data"), va="center", fontsize=9.5)
