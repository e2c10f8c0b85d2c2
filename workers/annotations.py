"""The ``annotations`` stage: what the annotator says of generated and of held-out real images."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy.special import softmax

from ..core.classifiers.answers import logits_of
from ..core.quantisation import quantise
from .annotator import annotator_of
from .outcome import Outcome, Row
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item
from .usable_images import image_number, usable_images

COMPUTATION = Computation("offmanifold.workers.annotations:compute", "annotations", 2)

SHOWN_OF_A_CLASS = 8
"""Of how many generated images of each label pixels are kept, the first ones of a shard."""
SHOWN_CLASSES = 40
"""Of how many classes, the first ones."""
# Images of higher numbers are not shown: of a million, those of every shard would be many.
_SHOWN_AMONG = 1024

# predicted is the class of the largest logit, confidence its probability. label is a real image's
# class, or that which a generated one was asked or is known to be of. pixels are those of a few
# generated images, as annotated.
ANNOTATIONS_TABLE = TableSchema(
    "annotations",
    2,
    (
        ("predicted", pa.int32()),
        ("confidence", pa.float64()),
        ("logits", pa.list_(pa.float32())),
        ("pixels", pa.list_(pa.float32())),
    ),
    always=("confidence",),
    lists=(ListColumn("logits"), ListColumn("pixels", ("image:values",), optional=True)),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``annotations`` table; images are rounded to the grey levels of the real ones."""
    asked = usable_images(items, settings, "held_out", resources)
    if not len(asked.images):
        return asked.in_place([])
    pixels = _rounded(asked.images, settings)
    rows = _answers(pixels, settings, resources)
    if "generated" not in settings:
        return asked.in_place(rows)
    numbers = [image_number(items[place]) for place in asked.places]
    return asked.in_place(_with_pixels(rows, numbers, pixels))


def _rounded(images: torch.Tensor, settings: Mapping[str, Any]) -> torch.Tensor:
    return quantise(images.clamp(0, 1), settings.get("levels"))


def _with_pixels(
    rows: Sequence[Row], numbers: Sequence[int], images: torch.Tensor
) -> list[Outcome]:
    """The rows, with pixels in the first few of every label among the images to show."""
    shown: Counter[int] = Counter()
    found: list[Outcome] = []
    for row, number, image in zip(rows, numbers, images, strict=True):
        label = row["predicted"]
        shows = label < SHOWN_CLASSES and number < _SHOWN_AMONG
        if shows and shown[label] < SHOWN_OF_A_CLASS:
            shown[label] += 1
            found.append({**row, "pixels": image.flatten().cpu().numpy()})
        else:
            found.append(row)
    return found


def _answers(rounded: torch.Tensor, settings: Mapping[str, Any], resources: Resources) -> list[Row]:
    logits = logits_of(annotator_of(settings["annotator"], resources), rounded)
    confidence = softmax(logits, axis=1).max(axis=1)
    predicted = logits.argmax(axis=1)
    return [
        {"predicted": int(label), "confidence": float(sure), "logits": row}
        for label, sure, row in zip(predicted, confidence, logits.astype(np.float32), strict=True)
    ]
