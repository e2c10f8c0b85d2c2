"""How sure the annotator is of generated images, and of real ones."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from ....core.classifiers.answers import confidence_counts
from ...report.drawn import Drawn
from ...report.figure import GUIDE, WIDTH, Figure, draw
from ...report.summary import number
from ...report.table import Column, numbers
from ...report.view import View
from .reduce import annotated

_BINS = 20


def confidence_histograms(view: View) -> Figure | None:
    """Histograms of the largest probability, generated and held-out real images over each other."""
    made, real = annotated(view.context, view.generator.name), annotated(view.context, None)
    if made is None or real is None:
        return None
    shares = {
        name: confidence_counts(images.logits, _BINS) / len(images.logits)
        for name, images in (("generated", made), ("held-out real", real))
    }

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        edges = np.linspace(0, 1, _BINS + 1)
        for name, colour in (("generated", "#009e73"), ("held-out real", GUIDE)):
            axes.stairs(100 * shares[name], edges, label=name, color=colour, linewidth=2)
        axes.set_xlabel("the annotator's confidence")
        axes.set_ylabel("share of images, %")
        axes.legend(frameon=False)

    surest = ", ".join(f"{name} {number(100 * each[-1], 3)}%" for name, each in shares.items())
    return draw(
        WIDTH,
        3.0,
        f"Histograms of the annotator's confidence. Of confidence above 0.95 are: {surest}.",
        "How sure the annotator is of its labels. Images that belong to no class clearly make the "
        "left part higher.",
        paint,
        data=Drawn(
            [Column("images"), numbers("confidence, from"), numbers("to"), numbers("share, %")],
            [
                [name, index / _BINS, (index + 1) / _BINS, 100 * float(share)]
                for name, by_bin in shares.items()
                for index, share in enumerate(by_bin)
            ],
        ),
        key="confidence",
    )
