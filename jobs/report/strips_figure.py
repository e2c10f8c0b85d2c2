"""Single images as dots, a row a group: changes on doubling a setting, gaps between estimators."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import FuncFormatter

from ..audits.comparison.reduce import estimator_gaps
from ..audits.convergence.reduce import doubling_changes
from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.schema import DOUBLED
from .figure import Figure, bare, draw, group_colours, label
from .summary import number

_WIDTH = 5.4
# Outliers may move a hundred times as far as the data, so the axis turns logarithmic.
_LINEAR_NATS = 1.0
_AXIS_WORDS = f"The axis is linear up to {number(_LINEAR_NATS, 1)} nat and logarithmic beyond."

Values = dict[str, np.ndarray]


def doubling_figures(context: ReduceContext, generator: GeneratorInfo) -> list[Figure]:
    """Change of ln p of every sampled image: a figure an estimator, a panel what was doubled."""
    figures = []
    for densities, changes in doubling_changes(context):
        mine = changes[changes["generator"] == generator.name]
        panels = {
            varied: _by_group(
                context,
                {
                    str(name): rows["change"].to_numpy(np.float64)
                    for name, rows in mine[mine["varied"] == varied].groupby("group")
                },
            )
            for varied in DOUBLED
        }
        panels = {varied: values for varied, values in panels.items() if values}
        if panels:
            figures.append(_doubling_figure(context, densities.estimator, panels))
    return figures


def gap_figure(context: ReduceContext, generator: GeneratorInfo) -> Figure | None:
    """Ln p by the trusted estimator minus ln p by the other, of every image, by group."""
    gaps = estimator_gaps(context, generator)
    if gaps is None or not gaps.by_group:
        return None
    by_group = _by_group(context, gaps.by_group)
    colours = group_colours(list(context.groups))
    subtraction = f"{gaps.estimator} minus {gaps.other}"

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        _strips(axes, by_group, colours)
        axes.set_xlabel(f"ln p(x), {subtraction}, nats")

    return draw(
        _WIDTH,
        0.8 + 0.36 * len(by_group),
        f"Gap between the estimators' log densities of single images, {subtraction}. "
        f"Means: {_means(by_group)} nats.",
        f"Each dot is an image under its own class, the bar its group's mean. Right of 0 the "
        f"{gaps.estimator} estimate is higher. {_AXIS_WORDS}",
        paint,
        key="gap",
    )


def _doubling_figure(
    context: ReduceContext, estimator: str | None, panels: dict[str, Values]
) -> Figure:
    colours = group_colours(list(context.groups))

    def paint(canvas: Canvas) -> None:
        heights = [len(by_group) for by_group in panels.values()]
        drawn = canvas.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)
        for axes, (varied, by_group) in zip(drawn[:, 0], panels.items(), strict=True):
            _strips(axes, by_group, colours)
            axes.set_title(f"twice the {varied}", loc="left", fontsize=10)
        drawn[-1, 0].set_xlabel("change of ln p(x), nats")

    words = "; ".join(
        f"twice the {varied}: {_means(by_group)}" for varied, by_group in panels.items()
    )
    named = "" if estimator is None else f"{estimator} "
    return draw(
        _WIDTH,
        0.6 + sum(0.4 + 0.3 * len(by_group) for by_group in panels.values()),
        f"Change of the {named}log density of single images when a setting is doubled. "
        f"Means by group, {words} nats.",
        f"The {named}estimates again with one setting doubled. Each dot is an image, the bar its "
        f"group's mean. Right of 0 the estimate is still rising. {_AXIS_WORDS}",
        paint,
        key="doubling" if estimator is None else f"doubling-{estimator}",
    )


def _strips(axes: Axes, by_group: Values, colours: dict[str, str]) -> None:
    axes.set_xscale("symlog", linthresh=_LINEAR_NATS)
    for row, (name, values) in enumerate(by_group.items()):
        spread = np.linspace(-0.16, 0.16, len(values)) if len(values) > 1 else np.zeros(1)
        axes.scatter(values, row + spread, s=14, color=colours[name], alpha=0.6, lw=0)
        axes.plot([values.mean()] * 2, [row - 0.3, row + 0.3], color="#22262c", lw=1.4)
    axes.axvline(0, color="#8a8f98", lw=1, ls=(0, (4, 3)))
    axes.set_yticks(range(len(by_group)), [label(name) for name in by_group])
    axes.invert_yaxis()
    low, high = axes.get_xlim()
    axes.set_xlim(min(low, -_LINEAR_NATS), max(high, _LINEAR_NATS))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: number(tick, 1)))
    bare(axes)


def _by_group(context: ReduceContext, values: Values) -> Values:
    """The groups that have values, in the order of the spec."""
    return {group.name: values[group.name] for group in context.groups if group.name in values}


def _means(by_group: Values) -> str:
    return ", ".join(f"{name} {number(float(values.mean()))}" for name, values in by_group.items())
