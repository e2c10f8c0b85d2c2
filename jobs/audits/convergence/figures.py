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
    def paint(canvas: Canvas) -> None:
        heights = [len(by_group) for by_group in panels.values()]
        drawn = canvas.subplots(len(panels), 1, sharex=True, squeeze=False, height_ratios=heights)
        for axes, (varied, by_group) in zip(drawn[:, 0], panels.items(), strict=True):
            strips(axes, by_group, view.colours)
            panel_title(axes, f"twice the {varied}")
        drawn[-1, 0].set_xlabel("change of ln p(x), nats")

    words = "; ".join(
        f"twice the {varied}: {means_in_words(by_group)}" for varied, by_group in panels.items()
    )
    named = "" if estimator is None else f"{estimator} "
    return draw(
        WIDTH,
        0.6 + sum(0.4 + 0.3 * len(by_group) for by_group in panels.values()),
        f"Change of the {named}log density of single images when a setting is doubled. "
        f"Means by group, {words} nats.",
        f"The {named}estimates again with one setting doubled. Each dot is an image, the bar its "
        f"group's mean. Right of 0 the estimate is still rising. {AXIS_WORDS}",
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
