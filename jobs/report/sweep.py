"""How many transitions are enough? Estimates by T, the sandwich gap by T, and a recommendation."""

import math

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, NullLocator

from ..reduce.context import GeneratorInfo, ReduceContext
from .figure import Figure, draw, label
from .section import ReportContext, Section, present
from .summary import Estimate, Summary, number
from .tables import Table, text

_WIDTH = 7.0
_COLUMNS = 3
_LINES = {"guided": ("#0072b2", "-", "o"), "classical": ("#d55e00", "--", "s")}
_OTHER_LINE = ("#7a828c", ":", "^")


def sweep_section(context: ReportContext, summary: Summary, generator: GeneratorInfo) -> Section:
    """Estimates against the number of transitions, and the fewest that are enough."""
    reduce = context.reduce
    return Section(
        "sweep",
        "How many transitions are enough?",
        [
            "A sample of every group again at each number of transitions T, each image under its "
            "own class. The estimates rise on average with T until they settle.",
            *recommendations(reduce, summary, generator),
        ],
        present(sweep_figure(reduce, summary, generator)),
        [
            *present(gap_table(reduce, summary, generator)),
            *present(density_table(reduce, summary, generator)),
            *present(shortfall_table(reduce, summary, generator)),
        ],
    )


def recommendations(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> list[str]:
    """The smallest T whose gap is under the tolerance, by estimator, or what the gap was."""
    if context.sweep_tolerance is None:
        return []
    tolerance = f"{context.sweep_tolerance:g} nat{'s' * (context.sweep_tolerance != 1)}"
    sentences = []
    for group in context.with_role("simulated"):
        for estimator in _estimators(summary):
            found = summary.under(estimator)
            keys = {"generator": generator.name, "group": group.name}
            best = found.find("recommended_transitions", **keys)
            tried = _transitions(found, "sweep_sandwich_gap", generator, group.name)
            if best is None or not tried:
                continue
            enough = not math.isnan(best.value)
            at = int(best.value) if enough else tried[-1]
            gap = found.find("sweep_sandwich_gap", **keys, against=str(at))
            listed = ", ".join(str(transitions) for transitions in tried)
            if enough:
                words = (
                    f"Recommended for the {estimator} estimator: T = {at}, the smallest of "
                    f"{listed} whose mean sandwich gap is under {tolerance} with its whole "
                    f"interval: {text(gap)} nats on {best.n} {group.name} images."
                )
            else:
                words = (
                    f"No T of {listed} brings the mean sandwich gap of the {estimator} estimator "
                    f"under {tolerance} with its whole interval: at T = {at} it is "
                    f"{text(gap)} nats on {best.n} {group.name} images."
                )
            sentences.append(words + _elsewhere(context, found, generator, at))
    return sentences


def gap_table(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> Table | None:
    """The mean sandwich gap by estimator and T."""
    tolerance = context.sweep_tolerance
    rows = []
    for group in context.with_role("simulated"):
        for estimator in _estimators(summary):
            found = summary.under(estimator)
            for transitions in _transitions(found, "sweep_sandwich_gap", generator, group.name):
                gap = found.find(
                    "sweep_sandwich_gap",
                    generator=generator.name,
                    group=group.name,
                    against=str(transitions),
                )
                if gap is None:
                    continue
                bits = gap.scaled(1 / (generator.dimensions * math.log(2)))
                under = tolerance is not None and gap.high < tolerance
                rows.append(
                    [
                        estimator,
                        str(transitions),
                        gap.text(),
                        bits.text(),
                        "yes" if under else "no",
                        str(gap.n),
                    ]
                )
    if not rows:
        return None
    return Table(
        "Mean sandwich gap on simulated images by the number of transitions T",
        ["estimator", "T", "gap, nats", "bits/dim", "under the tolerance", "N"],
        rows,
        key="sweep-gap",
    )


def density_table(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Table | None:
    """Mean ln p by estimator and T, a column a group."""
    return _by_group(
        context,
        summary,
        generator,
        "sweep_log_likelihood",
        "Mean ln p of the sample by the number of transitions T, nats",
        "sweep-density",
    )


def shortfall_table(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Table | None:
    """What mean ln p still lacks of its value at the largest T, a column a group."""
    return _by_group(
        context,
        summary,
        generator,
        "sweep_shortfall",
        "Mean ln p at the largest T minus that at T, paired by image, nats",
        "sweep-shortfall",
    )


def sweep_figure(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Figure | None:
    """Mean ln p against T on a logarithmic axis, a panel a group, a line an estimator."""
    panels = {
        group.name: curves
        for group in context.groups
        if (curves := _curves(summary, generator, group.name))
    }
    if not panels:
        return None

    def paint(canvas: Canvas) -> None:
        rows = -(-len(panels) // _COLUMNS)
        axes_of = canvas.subplots(rows, _COLUMNS, squeeze=False).ravel()
        for axes in axes_of[len(panels) :]:
            axes.set_axis_off()
        for axes, (group, curves) in zip(axes_of, panels.items(), strict=False):
            for estimator, points in curves.items():
                colour, dashes, marker = _LINES.get(estimator, _OTHER_LINE)
                axes.errorbar(
                    list(points),
                    [point[0] for point in points.values()],
                    yerr=np.array([point[1:] for point in points.values()]).T,
                    color=colour,
                    ls=dashes,
                    marker=marker,
                    ms=4,
                    lw=1.4,
                    elinewidth=0.9,
                    label=estimator,
                )
            ticks = sorted({transitions for points in curves.values() for transitions in points})
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(FixedLocator(ticks))
            axes.xaxis.set_minor_locator(NullLocator())
            axes.set_xticklabels([str(tick) for tick in ticks], fontsize=8)
            axes.tick_params(axis="y", labelsize=8)
            axes.ticklabel_format(axis="y", style="plain", useOffset=False)
            axes.set_title(label(group), loc="left", fontsize=10)
        axes_of[0].legend(frameon=False, fontsize=8)
        canvas.supxlabel("number of transitions T", fontsize=10)
        canvas.supylabel("mean ln p(x), nats", fontsize=10)

    words = "; ".join(
        f"{group}, {estimator}: "
        + ", ".join(f"{number(point[0])} at T = {at}" for at, point in points.items())
        for group, curves in panels.items()
        for estimator, points in curves.items()
    )
    return draw(
        _WIDTH,
        0.6 + 1.9 * -(-len(panels) // _COLUMNS),
        f"Mean log density of the sample by the number of transitions, in nats. {words}.",
        "Mean ln p against the number of transitions, each group on an axis of its own. Whiskers: "
        "95% interval of the change from there to the largest T, paired by image.",
        paint,
        key="sweep",
    )


def _by_group(
    context: ReduceContext,
    summary: Summary,
    generator: GeneratorInfo,
    metric: str,
    caption: str,
    key: str,
) -> Table | None:
    columns = [
        group.name
        for group in context.groups
        if any(
            _transitions(summary.under(estimator), metric, generator, group.name)
            for estimator in _estimators(summary)
        )
    ]
    rows = []
    for estimator in _estimators(summary):
        found = summary.under(estimator)
        tried = {
            transitions
            for group in columns
            for transitions in _transitions(found, metric, generator, group)
        }
        for transitions in sorted(tried):
            cells: list[Estimate | None] = [
                found.find(metric, generator=generator.name, group=group, against=str(transitions))
                for group in columns
            ]
            rows.append([estimator, str(transitions), *[text(cell) for cell in cells]])
    if not rows:
        return None
    return Table(caption, ["estimator", "T", *columns], rows, key=key)


def _curves(
    summary: Summary, generator: GeneratorInfo, group: str
) -> dict[str, dict[int, tuple[float, float, float]]]:
    """By estimator and T: mean ln p, and how far the whiskers reach below and above it."""
    curves = {}
    for estimator in _estimators(summary):
        found = summary.under(estimator)
        points = {}
        for transitions in _transitions(found, "sweep_log_likelihood", generator, group):
            keys = {"generator": generator.name, "group": group, "against": str(transitions)}
            value = found.find("sweep_log_likelihood", **keys)
            change = found.find("sweep_shortfall", **keys)
            if value is None:
                continue
            reach = (0.0, 0.0)
            if change is not None and not math.isnan(change.low):
                reach = (change.high - change.value, change.value - change.low)
            points[transitions] = (value.value, *reach)
        if points:
            curves[estimator] = points
    return curves


def _elsewhere(
    context: ReduceContext, found: Summary, generator: GeneratorInfo, transitions: int
) -> str:
    """Which of the other groups still moves most from there to the largest T."""
    moves = {
        group.name: found.find(
            "sweep_shortfall", generator=generator.name, group=group.name, against=str(transitions)
        )
        for group in context.groups
        if group.role != "simulated"
    }
    known = {group: move for group, move in moves.items() if move is not None}
    if not known:
        return " The gap speaks for the model's own images only."
    most = max(known, key=lambda group: abs(known[group].value))
    return (
        " The gap speaks for the model's own images only: from there to the largest T mean ln p of "
        f"{most} images, which change most, rises by {known[most].text()} nats."
    )


def _estimators(summary: Summary) -> list[str]:
    """The swept estimators, the trusted one first."""
    names = {str(row["estimator"]) for row in summary.rows("sweep_log_likelihood")}
    known = [summary.estimator, *_LINES]
    return sorted(
        names, key=lambda name: (known.index(name) if name in known else len(known), name)
    )


def _transitions(summary: Summary, metric: str, generator: GeneratorInfo, group: str) -> list[int]:
    """The numbers of transitions for which the summary's estimator has the metric."""
    return sorted(
        int(str(row["against"]))
        for row in summary.rows(metric)
        if (row["generator"], row["group"], row["estimator"])
        == (generator.name, group, summary.estimator)
    )
