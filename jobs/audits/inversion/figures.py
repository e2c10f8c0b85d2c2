"""Histograms of the reconstruction error."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.distributions import Distributions
from ...reduce.groups import group_values
from ...reduce.schema import NEAREST_CLASS, OWN
from ...report.drawn import drawn_bins
from ...report.figure import WIDTH, Figure, draw
from ...report.histogram_rows import ROW_HEIGHT, histogram_edges, histogram_rows
from ...report.summary import number
from ...report.view import View
from .reduce import SMALLEST_ERROR, median, reconstruction_errors


def error_distributions(context: ReduceContext, generator: GeneratorInfo) -> Distributions | None:
    """Mean squared errors by group; the nearest class's where all groups have every class.

    Where groups have no condition in common, as images without classes beside the model's own, it
    is that of the most groups, and the others are left out.
    """
    frame = context.tables.read("inversion", ["mse"])
    if frame is None:
        return None
    groups = group_values(context, frame, "mse", generator)
    if not groups:
        return None
    errors = {name: reconstruction_errors(values) for name, values in groups.items()}
    # The first of those that equally many have.
    shared = max(
        (NEAREST_CLASS, OWN, None),
        key=lambda condition: sum(condition in found for found in errors.values()),
    )
    values = {
        name: found[shared]
        for name, found in errors.items()
        if shared in found and len(found[shared])
    }
    return Distributions(shared, values) if values else None


def error_histogram(view: View) -> Figure | None:
    """Histogram of the reconstruction error by group, on a logarithmic axis."""
    found = error_distributions(view.context, view.generator)
    if found is None:
        return None
    logs = {
        name: np.log10(np.maximum(errors, SMALLEST_ERROR)) for name, errors in found.values.items()
    }
    under = "" if found.condition is None else f" ({found.condition})"
    medians = ", ".join(
        f"{name} {number(float(np.median(errors)))}" for name, errors in found.values.items()
    )

    def paint(canvas: Canvas) -> None:
        rows = histogram_rows(canvas, logs, view.colours, median)
        low, high = rows[-1].get_xlim()
        ticks = np.arange(np.ceil(low), np.floor(high) + 1)
        if len(ticks) > 1:
            rows[-1].set_xticks(ticks, [f"$10^{{{int(tick)}}}$" for tick in ticks])
        else:
            rows[-1].set_xticks(
                rows[-1].get_xticks()[1:-1],
                [number(10**tick, 2) for tick in rows[-1].get_xticks()[1:-1]],
            )
        canvas.supxlabel("mean squared error per pixel, images in [0, 1]")

    return draw(
        WIDTH,
        0.6 + ROW_HEIGHT * len(logs),
        f"Histograms of reconstruction error by group. Medians: {medians}.",
        f"Reconstruction error{under} of each group after inversion; the line is the median. The "
        "generator's own images, inverted in the same way, are the control.",
        paint,
        data=drawn_bins(
            found.values,
            10 ** histogram_edges(logs),
            "mean squared error",
        ),
        key="error",
    )
