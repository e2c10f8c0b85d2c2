"""How many transitions are enough? Estimates by T, the sandwich gap by T, and a recommendation."""

import math

import numpy as np
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FixedLocator, NullLocator

from ....core.statistics.bootstrap import Interval
from ....core.statistics.convergence import MINIMUM_GAPS, SandwichGap
from ...reduce.context import GeneratorInfo, ReduceContext
from ...report.figure import Figure, draw, label
from ...report.section import ReportContext, Section, present
from ...report.summary import Estimate, Summary, number
from ...report.tables import Table, text

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
    """The T that is enough, by estimator, or what the gap was."""
    if context.sweep_tolerance is None:
        return []
    sentences = []
    for group in context.with_role("simulated"):
        for estimator in _estimators(summary):
            found = summary.under(estimator)
            best = found.find("recommended_transitions", generator=generator.name, group=group.name)
            tried = _transitions(found, "sweep_sandwich_gap", generator, group.name)
            if best is None or not tried:
                continue
            at = tried[-1] if math.isnan(best.value) else int(best.value)
            words = _recommendation(context.sweep_tolerance, found, generator, group.name, best)
            sentences.append(words + _elsewhere(context, found, generator, at))
    return sentences


def _recommendation(
    tolerance: float, found: Summary, generator: GeneratorInfo, group: str, best: Estimate
) -> str:
    """The recommendation for one estimator, or why there is none."""
    tried = _transitions(found, "sweep_sandwich_gap", generator, group)
    listed = ", ".join(str(transitions) for transitions in tried)
    nats = f"{tolerance:g} nat{'s' * (tolerance != 1)}"
    at = tried[-1] if math.isnan(best.value) else int(best.value)
    gap = _gap(found, generator, group, at)
    measured = ""
    if gap is not None:
        mean, high = gap
        bound = "" if math.isnan(high) else f", all but a tenth of them at most {number(high)}"
        measured = f"{mean.text()} nats on {mean.n} {group} images{bound}"
    if not math.isnan(best.value):
        larger = " and at every larger one" if at < tried[-1] else ""
        return (
            f"Recommended for the {found.estimator} estimator: T = {at}, the smallest of {listed} "
            f"at which{larger} the sandwich gap is under {nats}, the interval of its mean and the "
            f"bound on all but a tenth of the images included: {measured}."
        )
    if best.n < MINIMUM_GAPS:
        return (
            f"No T of {listed} can be recommended for the {found.estimator} estimator: "
            f"{best.n} {group} images are too few to tell, it takes {MINIMUM_GAPS}. At T = {at} "
            f"the mean sandwich gap is {measured}."
        )
    return (
        f"No T of {listed} brings the sandwich gap of the {found.estimator} estimator under {nats} "
        "with the interval of its mean and the bound on all but a tenth of the images: at "
        f"T = {at} it is {measured}."
    )


def _gap(
    found: Summary, generator: GeneratorInfo, group: str, transitions: int
) -> tuple[Estimate, float] | None:
    """The mean sandwich gap at so many transitions, and the bound of its high quantile."""
    mean, high = (
        found.find(metric, generator=generator.name, group=group, against=str(transitions))
        for metric in ("sweep_sandwich_gap", "sweep_sandwich_gap_high")
    )
    return None if mean is None or high is None else (mean, high.value)


def gap_table(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> Table | None:
    """The sandwich gap by estimator and T."""
    tolerance = context.sweep_tolerance
    rows = []
    for group in context.with_role("simulated"):
        for estimator in _estimators(summary):
            found = summary.under(estimator)
            for transitions in _transitions(found, "sweep_sandwich_gap", generator, group.name):
                gap = _gap(found, generator, group.name, transitions)
                if gap is None:
                    continue
                mean, high = gap
                interval = Interval(mean.value, mean.low, mean.high, mean.n)
                under = tolerance is not None and SandwichGap(interval, high).is_under(tolerance)
                rows.append(
                    [
                        estimator,
                        str(transitions),
                        mean.text(),
                        mean.scaled(1 / (generator.dimensions * math.log(2))).text(),
                        number(high),
                        "yes" if under else "no",
                        str(mean.n),
                    ]
                )
    if not rows:
        return None
    return Table(
        "Mean sandwich gap on simulated images by the number of transitions T, and the 95% bound "
        "on all but a tenth of the images, nats",
        ["estimator", "T", "gap, nats", "bits/dim", "all but a tenth", "under the tolerance", "N"],
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
        if (row["metric"], row["generator"], row["group"], row["estimator"])
        == (metric, generator.name, group, summary.estimator)
    )
