"""The ``annotations`` stage: what the annotator says of generated and of held-out real images."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from scipy.special import softmax

from ..core.classifiers.answers import logits_of
from ..core.quantisation import quantise
from .annotator import annotator_of
from .datasets import ImageError, shard_image_set
from .generated_images import shard_generated_images
from .outcome import Failure, Outcome
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item

COMPUTATION = Computation("offmanifold.workers.annotations:compute", "annotations", 1)

# predicted is the class of the largest logit, confidence its probability. label is a real image's
# class, or that which a generated one was asked or is known to be of.
ANNOTATIONS_TABLE = TableSchema(
    "annotations",
    1,
    (
        ("predicted", pa.int32()),
        ("confidence", pa.float64()),
        ("logits", pa.list_(pa.float32())),
    ),
    always=("confidence",),
    lists=(ListColumn("logits"),),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``annotations`` table; images are rounded to the grey levels of the real ones."""
    if "generated" in settings:
        images = shard_generated_images(settings["generated"], resources)
        draws = [(item.condition, item.index or 0) for item in items]
        return _answers(images.images(draws), settings, resources)
    readable, failures = [], {}
    source = shard_image_set(settings["held_out"], resources)
    for position, item in enumerate(items):
        assert item.index is not None, "a held-out image is named by its number"
        try:
            readable.append(source.image(item.index)[0])
        except ImageError as error:
            failures[position] = Failure(f"ImageError: {error}")
    found: list[Outcome] = []
    if readable:
        pixels = torch.from_numpy(np.stack(readable)).to(resources.device)
        found = _answers(pixels, settings, resources)
    left = iter(found)
    return [
        failures[position] if position in failures else next(left) for position in range(len(items))
    ]


def _answers(
    images: torch.Tensor, settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    rounded = quantise(images.clamp(0, 1), settings.get("levels"))
    logits = logits_of(annotator_of(settings["annotator"], resources), rounded)
    confidence = softmax(logits, axis=1).max(axis=1)
    predicted = logits.argmax(axis=1)
    return [
        {"predicted": int(label), "confidence": float(sure), "logits": row}
        for label, sure, row in zip(predicted, confidence, logits.astype(np.float32), strict=True)
    ]
