"""Change of ln p of every sampled image when a setting is doubled."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from ...reduce.schema import DOUBLED
from ...report.drawn import Drawn
from ...report.figure import WIDTH, Figure, draw, panel_title
from ...report.strips import AXIS_WORDS, Values, in_order, means_in_words, strips
from ...report.table import Column, numbers
from ...report.view import View
from .reduce import doubling_changes

# About how wide all panels are together.
_POINTS = 210


def doubling_figures(view: View) -> list[Figure]:
    """Change of ln p of every sampled image: a figure an estimator, a panel what was doubled."""
    figures = []
    for densities, changes in doubling_changes(view.context):
        mine = changes[changes["generator"] == view.generator.name]
        panels = {
            varied: in_order(
                view,
                {
                    str(name): rows["change"].to_numpy(np.float64)
                    for name, rows in mine[mine["varied"] == varied].groupby("group")
                },
            )
            for varied in DOUBLED
        }
        panels = {varied: values for varied, values in panels.items() if values}
        if panels:
            figures.append(_doubling_figure(view, densities.estimator, panels))
    return figures


def _doubling_figure(view: View, estimator: str | None, panels: dict[str, Values]) -> Figure:
    named_in = {group for by_group in panels.values() for group in by_group}
    groups = [group.name for group in view.context.groups if group.name in named_in]

    def paint(canvas: Canvas) -> None:
        drawn = canvas.subplots(1, len(panels), sharex=True, sharey=True, squeeze=False)[0]
        for axes, (varied, by_group) in zip(drawn, panels.items(), strict=True):
            rows = {group: by_group.get(group, np.zeros(0)) for group in groups}
            strips(axes, rows, view.colours, _POINTS / len(panels))
            panel_title(axes, varied)
        canvas.supxlabel("change of ln p(x), nats")

    words = "; ".join(
        f"twice the {varied}: {means_in_words(by_group)}" for varied, by_group in panels.items()
    )
    named = "" if estimator is None else f"{estimator} "
    return draw(
        WIDTH,
        0.8 + 0.24 * len(groups),
        f"Change of the {named}log density of single images when a setting is doubled. "
        f"Means by group, {words} nats.",
        f"The {named}estimates with one setting doubled: a dot an image, the bar its group's "
        f"mean. Right of 0 the estimate still rises. {AXIS_WORDS}",
        paint,
        data=Drawn(
            [Column("doubled"), Column("group"), numbers("change of ln p, nats")],
            [
                [varied, group, float(value)]
                for varied, by_group in panels.items()
                for group, values in by_group.items()
                for value in values
            ],
        ),
        key="doubling" if estimator is None else f"doubling-{estimator}",
    )
