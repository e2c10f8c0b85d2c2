"""Mean log densities of every group, the likeliest above."""

import math

from matplotlib.figure import Figure as Canvas

from ....reduce.context import GeneratorInfo, ReduceContext
from ....report.dots import ROW_HEIGHT, dots, symlog, symlog_ticks
from ....report.figure import WIDTH, Figure, draw, group_colours, label
from ....report.summary import MISSING, Estimate, Summary, number
from .question import EVERY_GROUP, find_lead

# Outliers may lie a hundred times as far behind as the data.
_LINEAR_NATS = 10.0


def ranking_figure(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Figure | None:
    """Mean ln p of every group under one condition, the likeliest above."""
    lead = find_lead(context, summary, generator, EVERY_GROUP)
    if lead is None:
        return None
    condition = lead.over[lead.runner_up].condition
    texts = {}
    for name in (lead.leader, *lead.over):
        mean = summary.find(
            "log_likelihood_mean", generator=generator.name, group=name, conditions=(condition,)
        )
        texts[name] = MISSING if mean is None else mean.text(4)
    nothing = Estimate(0.0, math.nan, math.nan, lead.over[lead.runner_up].n, condition)
    behind = {name: each.scaled(-1) for name, each in {lead.leader: nothing, **lead.over}.items()}
    colours = group_colours(list(context.groups))

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        axes.axvline(0, color="#8a8f98", lw=1, ls=(0, (4, 3)), zorder=0)
        symlog(axes, _LINEAR_NATS)
        dots(axes, behind, colours, texts)
        axes.set_title(f"mean ln p, nats, {condition}", loc="right", fontsize=9.5)
        symlog_ticks(axes, _LINEAR_NATS)
        axes.set_xlabel(f"nats behind {label(lead.leader)}")

    listed = ", ".join(f"{name} {found}" for name, found in texts.items())
    return draw(
        WIDTH,
        1.0 + ROW_HEIGHT * len(texts),
        f"Groups from the most likely to the least by mean log density: {listed} nats.",
        f"How far each group's mean ln p lies behind that of {lead.leader}, the most likely, with "
        "the 95% interval of the difference; the means are at the right. The axis is linear up to "
        f"{number(_LINEAR_NATS, 2)} nats and logarithmic beyond. Generated images have no "
        "observation noise, which alone makes them denser than images with it.",
        paint,
        key="ranking",
    )
