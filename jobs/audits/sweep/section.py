"""How many transitions are enough? Estimates by T, the sandwich gap by T, and a recommendation."""

import math

import numpy as np
from matplotlib.figure import Figure as Canvas

from ....core.statistics.convergence import MINIMUM_GAPS, SandwichGap
from ....core.statistics.interval import Interval
from ...report.drawn import Drawn
from ...report.figure import WIDE, Figure, draw, log_ticks, panel_title
from ...report.section import Section, present
from ...report.summary import Estimate, number
from ...report.table import Cell, Column, N, Table, counts, estimates, filled_table, numbers
from ...report.view import View
from ...report.words import BOUND

_COLUMNS = 3
_LINES = {"guided": ("#0072b2", "-", "o"), "classical": ("#d55e00", "--", "s")}
_OTHER_LINE = ("#7a828c", ":", "^")


def sweep_section(view: View) -> Section:
    """Estimates against the number of transitions, and the fewest that are enough."""
    return Section(
        "sweep",
        "How many transitions are enough?",
        [
            "A sample of every group is estimated at each number of transitions T, each image "
            "under its own class. The estimates rise on average with T until they settle.",
            *recommendations(view),
        ],
        present(sweep_figure(view)),
        present(gap_table(view), density_table(view), shortfall_table(view)),
    )


def recommendations(view: View) -> list[str]:
    """The T that is enough, by estimator, or what the gap was."""
    if view.context.sweep_tolerance is None:
        return []
    sentences = []
    for group in view.context.with_role("simulated"):
        for each in _by_estimator(view):
            best = each.find("recommended_transitions", group.name)
            tried = _transitions(each, "sweep_sandwich_gap", group.name)
            if best is None or not tried:
                continue
            at = tried[-1] if math.isnan(best.value) else int(best.value)
            words = _recommendation(view.context.sweep_tolerance, each, group.name, best)
            sentences.append(words + _elsewhere(each, at))
    return sentences


def _recommendation(tolerance: float, view: View, group: str, best: Estimate) -> str:
    """The recommendation for one estimator, or why there is none."""
    tried = _transitions(view, "sweep_sandwich_gap", group)
    listed = ", ".join(str(transitions) for transitions in tried)
    nats = f"{tolerance:g} nat{'s' * (tolerance != 1)}"
    at = tried[-1] if math.isnan(best.value) else int(best.value)
    gap = _gap(view, group, at)
    measured = ""
    if gap is not None:
        mean, high = gap
        bound = "" if math.isnan(high) else f", all but a tenth of them at most {number(high)}"
        measured = f"{mean.text()} nats on {mean.n} {group} images{bound}"
    if not math.isnan(best.value):
        larger = " and at every larger one" if at < tried[-1] else ""
        return (
            f"Recommended for the {view.estimator} estimator: T = {at}, the smallest of {listed} "
            f"at which{larger} the sandwich gap is under {nats}, including the interval of its "
            f"mean and the bound on all but a tenth of the images: {measured}."
        )
    if best.n < MINIMUM_GAPS:
        return (
            f"No T of {listed} can be recommended for the {view.estimator} estimator: {best.n} "
            f"{group} images are too few to tell; it takes {MINIMUM_GAPS}. At T = {at} the mean "
            f"sandwich gap is {measured}."
        )
    return (
        f"No T of {listed} brings the sandwich gap of the {view.estimator} estimator under {nats} "
        "with the interval of its mean and the bound on all but a tenth of the images: at "
        f"T = {at} it is {measured}."
    )


def _gap(view: View, group: str, transitions: int) -> tuple[Estimate, float] | None:
    """The mean sandwich gap at so many transitions, and the bound of its high quantile."""
    mean, high = (
        view.find(metric, group, against=str(transitions))
        for metric in ("sweep_sandwich_gap", "sweep_sandwich_gap_high")
    )
    return None if mean is None or high is None else (mean, high.value)


def gap_table(view: View) -> Table | None:
    """The sandwich gap by estimator and T."""
    tolerance = view.context.sweep_tolerance
    bits = 1 / (view.generator.dimensions * math.log(2))
    rows: list[list[Cell]] = []
    for group in view.context.with_role("simulated"):
        for each in _by_estimator(view):
            for transitions in _transitions(each, "sweep_sandwich_gap", group.name):
                gap = _gap(each, group.name, transitions)
                if gap is None:
                    continue
                mean, high = gap
                interval = Interval(mean.value, mean.low, mean.high, mean.n)
                under = tolerance is not None and SandwichGap(interval, high).is_under(tolerance)
                said = "yes" if under else "no"
                head = [each.estimator, transitions]
                rows.append([*head, mean, mean.scaled(bits), high, said, mean.n])
    return filled_table(
        "Mean sandwich gap on simulated images by the number of transitions T, and the 95% bound "
        "on all but a tenth of the images, nats",
        [
            Column("estimator"),
            counts("T"),
            estimates("gap, nats"),
            estimates("gap, bits/dim"),
            numbers("all but a tenth"),
            Column("under the tolerance"),
            N,
        ],
        rows,
        key="sweep-gap",
    )


def density_table(view: View) -> Table | None:
    """Mean ln p by estimator and T, a column a group."""
    return _group_columns(
        view,
        "sweep_log_likelihood",
        f"Mean ln p of the sample by the number of transitions T, nats; {BOUND}",
        "sweep-density",
    )


def shortfall_table(view: View) -> Table | None:
    """What mean ln p still lacks of its value at the largest T, a column a group."""
    return _group_columns(
        view,
        "sweep_shortfall",
        f"Mean ln p at the largest T minus that at T, paired by image, nats; {BOUND}",
        "sweep-shortfall",
    )


def sweep_figure(view: View) -> Figure | None:
    """Mean ln p against T on a logarithmic axis, a panel a group, a line an estimator."""
    panels = {
        group.name: curves for group in view.context.groups if (curves := _curves(view, group.name))
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
            log_ticks(axes, ticks)
            axes.tick_params(axis="y", labelsize=8)
            axes.ticklabel_format(axis="y", style="plain", useOffset=False)
            panel_title(axes, group)
        axes_of[0].legend(frameon=False, fontsize=8)
        canvas.supxlabel("number of transitions T")
        canvas.supylabel("mean ln p(x), nats")

    words = "; ".join(
        f"{group}, {estimator}: "
        + ", ".join(f"{number(point[0])} at T = {at}" for at, point in points.items())
        for group, curves in panels.items()
        for estimator, points in curves.items()
    )
    return draw(
        WIDE,
        0.5 + 1.5 * -(-len(panels) // _COLUMNS),
        f"Mean log density of the sample by the number of transitions, in nats. {words}.",
        "Mean ln p against the number of transitions, each group on its own axis. Whiskers: 95% "
        f"interval of the change from there to the largest T, paired by image; {BOUND}.",
        paint,
        data=Drawn(
            [
                Column("group"),
                Column("estimator"),
                counts("T"),
                numbers("mean ln p at least, nats"),
                numbers("whisker below"),
                numbers("whisker above"),
            ],
            [
                [group, estimator, at, *point]
                for group, curves in panels.items()
                for estimator, points in curves.items()
                for at, point in points.items()
            ],
        ),
        key="sweep",
    )


def _group_columns(view: View, metric: str, caption: str, key: str) -> Table | None:
    groups = [group.name for group in view.context.groups]
    rows: list[list[Cell]] = []
    for each in _by_estimator(view):
        tried = {at for group in groups for at in _transitions(each, metric, group)}
        for at in sorted(tried):
            found = [each.find(metric, group, against=str(at)) for group in groups]
            rows.append([each.estimator, at, *found])
    columns = [Column("estimator"), counts("T"), *[estimates(group) for group in groups]]
    return filled_table(caption, columns, rows, key=key)


def _curves(view: View, group: str) -> dict[str, dict[int, tuple[float, float, float]]]:
    """By estimator and T: mean ln p, and how far the whiskers reach below and above it."""
    curves = {}
    for each in _by_estimator(view):
        points = {}
        for transitions in _transitions(each, "sweep_log_likelihood", group):
            value, change = (
                each.find(metric, group, against=str(transitions))
                for metric in ("sweep_log_likelihood", "sweep_shortfall")
            )
            if value is None:
                continue
            reach = (0.0, 0.0)
            if change is not None and not math.isnan(change.low):
                reach = (change.high - change.value, change.value - change.low)
            points[transitions] = (value.value, *reach)
        if points:
            curves[each.estimator_name] = points
    return curves


def _elsewhere(view: View, transitions: int) -> str:
    """Which of the other groups still moves most from there to the largest T."""
    moves = {
        group.name: view.find("sweep_shortfall", group.name, against=str(transitions))
        for group in view.context.groups
        if group.role != "simulated"
    }
    known = {group: move for group, move in moves.items() if move is not None}
    if not known:
        return " The gap applies only to the model's own images."
    most = max(known, key=lambda group: abs(known[group].value))
    return (
        " The gap applies only to the model's own images: from there to the largest T mean ln p "
        f"of {most} images, which change most, rises by {known[most].text()} nats."
    )


def _by_estimator(view: View) -> list[View]:
    """The view under each of the swept estimators, the trusted one first."""
    names = {str(row["estimator"]) for row in view.summary.rows("sweep_log_likelihood")}
    known = [view.estimator, *_LINES]
    ordered = sorted(
        names, key=lambda name: (known.index(name) if name in known else len(known), name)
    )
    return [view.under(name) for name in ordered]


def _transitions(view: View, metric: str, group: str) -> list[int]:
    """The numbers of transitions for which the view's estimator has the metric."""
    return sorted(int(against) for against in view.against(metric, group))
