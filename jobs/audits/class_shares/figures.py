"""How sure the annotator is of its labels, and what images of each label look like."""

import numpy as np
from matplotlib.figure import Figure as Canvas

from ....core.classifiers.answers import confidence_counts
from ....workers.annotations import SHOWN_CLASSES, SHOWN_OF_A_CLASS
from ...reduce.tables import succeeded
from ...report.drawn import Drawn
from ...report.figure import GUIDE, WIDTH, Figure, draw, mosaic
from ...report.summary import number
from ...report.table import Column, numbers
from ...report.view import View
from .reduce import annotated

_BINS = 20
# A page is to stay small: of large images fewer are shown of each label.
_MOST_PIXELS = 1_500_000


def annotated_samples(view: View) -> Figure | None:
    """A row of generated images for each label that they were given, the first ones in number.

    Classes after the last one that any of them was given have no row.
    """
    frame = view.context.tables.read("annotations", ["predicted"])
    if frame is None:
        return None
    found = succeeded(frame)
    mine = found[found["generator"] == view.generator.name].sort_values("image_id")
    first = mine[mine["predicted"] < SHOWN_CLASSES].groupby("predicted").head(SHOWN_OF_A_CLASS)
    stored = view.context.tables.read_images("annotations", first["image_id"].tolist(), ["pixels"])
    pixels = {
        image_id: each
        for image_id, each in zip(stored["image_id"], stored["pixels"], strict=True)
        if each is not None
    }
    if not pixels:
        return None
    labels = int(first["predicted"].max()) + 1
    shape = view.generator.image_shape
    shown = min(max(_MOST_PIXELS // (labels * shape[1] * shape[2]), 1), SHOWN_OF_A_CLASS)
    rows = []
    counts = mine["predicted"].value_counts()
    for label in range(labels):
        ids = first["image_id"][first["predicted"] == label]
        images = [pixels[each] for each in ids if each in pixels][:shown]
        # White where there are fewer: rows are as long as each other.
        row = np.ones((shown, *shape), dtype=np.float32)
        for place, image in enumerate(images):
            row[place] = np.reshape(image, shape)
        rows.append(row)
    given = ", ".join(f"{label}: {counts.get(label, 0)}" for label in range(labels))
    return mosaic(
        rows,
        f"Generated images in rows by the annotator's label, from 0 to {labels - 1}.",
        f"Generated images by the annotator's label, class 0 above: the first ones by number, not "
        f"chosen by eye. Images of each label, of {len(mine)}: {given}.",
        key="annotated-samples",
    )


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
        2.3,
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
