"""The class shares of a training's checkpoints, one above the other ([CB] Fig. 2, right)."""

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas

from ....reduce.context import GeneratorInfo, ReduceContext
from ....report.drawn import Drawn
from ....report.figure import WIDTH, Figure, draw, panel_title
from ....report.table import Column, counts, numbers
from .reduce import annotated_labels, class_count, counted

_MOST_NAMED = 12


def evolution(context: ReduceContext, members: Sequence[GeneratorInfo]) -> list[Figure]:
    """The training's panel: a bar a checkpoint, and the annotated real images' beside them."""
    labels = annotated_labels(context)
    known = [each for each in members if each.name in labels]
    if len(known) < 2 or known[0].series is None:
        return []
    classes, training = class_count(labels), known[0].series.name
    counts_of = counted(labels, known, classes)
    real = np.bincount(labels[None], minlength=classes)
    rows = np.vstack([counts_of, real[None]])
    shares = rows / rows.sum(axis=1, keepdims=True)
    names = [str(each.series.iteration) for each in known if each.series is not None]
    names.append("real")

    def paint(canvas: Canvas) -> None:
        axes = canvas.subplots()
        places = np.arange(len(names), dtype=float)
        # Real images stand a little apart.
        places[-1] += 0.5
        base = np.zeros(len(names))
        colours = mpl.colormaps["tab20" if classes > 10 else "tab10"]
        for index in range(classes):
            named = str(index) if classes <= _MOST_NAMED else None
            axes.bar(
                places, 100 * shares[:, index], 0.9, base, color=colours(index % 20), label=named
            )
            base += 100 * shares[:, index]
        axes.set_xticks(places, names, rotation=90 if len(names) > 8 else 0)
        axes.set_xlabel("iteration")
        axes.set_ylabel("share of images, %")
        panel_title(axes, training)
        if classes <= _MOST_NAMED:
            axes.legend(
                frameon=False, title="class", loc="center left", bbox_to_anchor=(1, 0.5), fontsize=8
            )

    return [
        draw(
            WIDTH,
            2.7,
            f"Class shares of {len(known)} checkpoints of {training}, as annotated, and of "
            "held-out real images.",
            f"What {training} made in the course of its training, by class as annotated; the last "
            "bar is that of held-out real images [CB Fig. 2].",
            paint,
            data=Drawn(
                [Column("images"), counts("class"), numbers("share, %")],
                [
                    [name, index, 100 * float(share)]
                    for name, row in zip(names, shares, strict=True)
                    for index, share in enumerate(row)
                ],
            ),
            key="evolution",
        )
    ]
