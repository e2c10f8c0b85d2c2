"""Mean log densities of every group, the likeliest above."""

import math

from matplotlib.figure import Figure as Canvas

from ....report.dots import ROW_HEIGHT, symlog_dots, symlog_ticks
from ....report.drawn import drawn_estimates
from ....report.figure import WIDTH, Figure, draw, label
from ....report.summary import MISSING, Estimate, number
from ....report.view import View
from ....report.words import BOUND
from .question import EVERY_GROUP, find_lead

# Outliers may lie a hundred times as far behind as the data.
_LINEAR_NATS = 10.0


def ranking_figure(view: View) -> Figure | None:
    """Mean ln p of every group under one condition, the likeliest above."""
    lead = find_lead(view, EVERY_GROUP)
    if lead is None:
        return None
    condition = lead.over[lead.runner_up].condition
    means = {
        name: view.find("log_likelihood_mean", name, condition)
        for name in (lead.leader, *lead.over)
    }
    texts = {name: MISSING if mean is None else mean.text(4) for name, mean in means.items()}
    nothing = Estimate(0.0, math.nan, math.nan, lead.over[lead.runner_up].n, condition)
    behind = {name: each.scaled(-1) for name, each in {lead.leader: nothing, **lead.over}.items()}

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        symlog_dots(axes, behind, view.colours, texts, _LINEAR_NATS)
        axes.set_title(f"mean ln p, nats, {condition}", loc="right", fontsize=9.5)
        symlog_ticks(axes, _LINEAR_NATS)
        canvas.supxlabel(f"nats behind {label(lead.leader)}")

    listed = ", ".join(f"{name} {found}" for name, found in texts.items())
    return draw(
        WIDTH,
        0.9 + ROW_HEIGHT * len(texts),
        f"Groups from the most likely to the least by mean log density: {listed} nats.",
        f"How far each group's mean ln p is behind that of {lead.leader}, the most likely, with "
        "the 95% interval of the difference; the means are on the right. The axis is linear up "
        f"to {number(_LINEAR_NATS, 2)} nats and logarithmic beyond. Generated images have no "
        "observation noise, which alone makes them denser than images with it. In the figure "
        f"{BOUND}.",
        paint,
        data=drawn_estimates(behind, f"nats behind {lead.leader}"),
        key="ranking",
    )
