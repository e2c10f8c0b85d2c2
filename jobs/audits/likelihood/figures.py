"""Histograms of log density, and what the pilots settled on."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from ....core.statistics.classification import mean
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.distributions import Distributions, shared_densities
from ...reduce.tables import list_means, succeeded
from ...report.drawn import Drawn, drawn_bins
from ...report.figure import WIDTH, Figure, draw
from ...report.histogram_rows import (
    ROW_HEIGHT,
    SMALL_PART,
    histogram_edges,
    histogram_rows,
)
from ...report.summary import number
from ...report.table import Column, numbers
from ...report.view import View
from ...report.words import BOUND


def tuning_figure(view: View) -> Figure | None:
    """Step size and acceptance of the pilot images along the annealing path."""
    frame = view.context.tables.read("tuning", ["beta", "step_size", "acceptance"])
    if frame is None:
        return None
    pilots = succeeded(frame)
    pilots = pilots[pilots["generator"] == view.generator.name]
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
        WIDTH,
        1.8,
        f"Step size and acceptance of {len(pilots)} pilot images along the annealing path; the "
        f"mean acceptance is {acceptance:.2f}.",
        f"What {len(pilots)} pilot images settled on along the path from prior (β = 0) to "
        "posterior (β = 1). Their common schedule was frozen for every image.",
        paint,
        data=Drawn(
            [Column("pilot"), numbers("β"), numbers("step size"), numbers("acceptance")],
            [
                [image_id, float(at), float(size), float(rate)]
                for image_id, beta, sizes, rates in pilots[
                    ["image_id", "beta", "step_size", "acceptance"]
                ].itertuples(index=False)
                for at, size, rate in zip(beta[-len(sizes) :], sizes, rates, strict=True)
            ],
        ),
        key="tuning",
    )


def density_distributions(context: ReduceContext, generator: GeneratorInfo) -> Distributions | None:
    """Ln p by group: the marginal where all groups have every class, else the own class's."""
    return shared_densities(context, generator, "likelihood", "log_likelihood")


def density_histograms(view: View) -> list[Figure]:
    """Histogram of ln p by group with the typical band of each reference group.

    Where outliers stretch the axis so far that the other groups shrink to a line, a second
    figure shows these groups' own range.
    """
    found = density_distributions(view.context, view.generator)
    if found is None:
        return []
    bands = _bands(view, found)
    means = ", ".join(
        f"{name} {number(float(density.mean()), 4)}" for name, density in found.values.items()
    )
    shown = " and ".join(f"{name} [{number(a, 4)}, {number(b, 4)}]" for name, a, b in bands)
    caption = (
        f"Log density ({found.condition}) of each group; the line is the mean. Shaded: where the "
        "mean of a typical set of images lies"
    )
    caption += f", by {shown}" if shown else " (no reference group, so none is shown)"
    caption += f"; {BOUND}."
    figures = [
        _density_figure(
            view,
            found,
            bands,
            None,
            f"Histograms of log density by group. Means: {means} nats."
            + (f" Typical bands: {shown}." if shown else ""),
            caption,
            "density",
        )
    ]
    window = inner_window(view.context, found)
    if window is not None:
        span = f"{number(window[0], 4)} to {number(window[1], 4)} nats"
        figures.append(
            _density_figure(
                view,
                found,
                bands,
                window,
                f"The same histograms between {span}, where the groups are that are not outliers.",
                f"The same from {span}; images outside are counted next to their group.",
                "density-without-outliers",
            )
        )
    return figures


def _density_figure(
    view: View,
    found: Distributions,
    bands: list[tuple[str, float, float]],
    window: tuple[float, float] | None,
    alt: str,
    caption: str,
    key: str,
) -> Figure:
    def paint(canvas: Canvas) -> None:
        rows = histogram_rows(canvas, found.values, view.colours, mean, window)
        for axes in rows:
            for name, low, high in bands:
                axes.axvspan(low, high, color=view.colours[name], alpha=0.16, lw=0, zorder=0)
        canvas.supxlabel(f"ln p(x), nats ({found.condition} density)")

    return draw(
        WIDTH,
        0.6 + ROW_HEIGHT * len(found.values),
        alt,
        caption,
        paint,
        data=drawn_bins(found.values, histogram_edges(found.values, window), "ln p at least, nats"),
        key=key,
    )


def inner_window(context: ReduceContext, found: Distributions) -> tuple[float, float] | None:
    """The range of all groups but the outliers, if it is a small part of the whole, else None."""
    outliers = {group.name for group in context.with_role("outlier")}
    inner = [density for name, density in found.values.items() if name not in outliers]
    if not inner:
        return None
    inside, every = np.concatenate(inner), np.concatenate(list(found.values.values()))
    if np.ptp(inside) == 0 or np.ptp(inside) > SMALL_PART * np.ptp(every):
        return None
    margin = 0.05 * float(np.ptp(inside))
    return float(inside.min()) - margin, float(inside.max()) + margin


def _bands(view: View, found: Distributions) -> list[tuple[str, float, float]]:
    bands = []
    for reference in view.context.references:
        entropy, epsilon = (
            view.find(f"typicality_{name}", reference.name, found.condition)
            for name in ("entropy", "epsilon")
        )
        if entropy is not None and epsilon is not None:
            centre = -entropy.value
            bands.append((reference.name, centre - epsilon.value, centre + epsilon.value))
    return bands
