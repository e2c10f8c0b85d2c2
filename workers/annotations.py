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
from .datasets import shard_image_set
from .generated_images import shard_generated_images
from .outcome import Outcome, Row
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item
from .usable_images import usable_generated, usable_real

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
    numbers = [_number(item) for item in items]
    if "generated" in settings:
        source = shard_generated_images(settings["generated"], resources)
        draws = [(item.condition, number) for item, number in zip(items, numbers, strict=True)]
        made = usable_generated(source, draws)
        if not len(made.images):
            return made.in_place([])
        pixels = _rounded(made.images, settings)
        rows = _answers(pixels, settings, resources)
        return made.in_place(_with_pixels(rows, [numbers[place] for place in made.places], pixels))
    images = shard_image_set(settings["held_out"], resources)
    real = usable_real(images, numbers, settings["held_out"]["image_shape"], resources.device)
    if not len(real.images):
        return real.in_place([])
    return real.in_place(_answers(_rounded(real.images, settings), settings, resources))


def _number(item: Item) -> int:
    assert item.index is not None, "an image is named by its number"
    return item.index


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
