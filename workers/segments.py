"""The ``segments`` stage: how much of each image is of each class of objects."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import torch

from ..core.quantisation import quantise
from .outcome import Failure, Outcome
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .segmenter import SegmenterError, shard_segmenter
from .shard import Item
from .usable_images import usable_images

COMPUTATION = Computation("offmanifold.workers.segments:compute", "segments", 1)

# areas[] is the share of the image's pixels that each class of objects has, in their order.
SEGMENTS_TABLE = TableSchema(
    "segments", 1, (("areas", pa.list_(pa.float64())),), lists=(ListColumn("areas"),)
)

_TOGETHER = 64


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``segments`` table; images are rounded to the grey levels of the real ones."""
    found: list[Outcome] = []
    for start in range(0, len(items), _TOGETHER):
        found += _together(items[start : start + _TOGETHER], settings, resources)
    return found


def _together(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    asked = usable_images(items, settings, "real", resources)
    if not len(asked.images):
        return asked.in_place([])
    return asked.in_place(_rows(asked.images, settings, resources))


def _rows(images: torch.Tensor, settings: Mapping[str, Any], resources: Resources) -> list[Outcome]:
    rounded = quantise(images.clamp(0, 1), settings.get("levels"))
    segmenter = shard_segmenter(settings["segmenter"], resources)
    try:
        areas = segmenter.areas(rounded).numpy()
    except SegmenterError:
        return [_alone(image, settings, resources) for image in rounded]
    return [{"areas": row} for row in areas]


def _alone(image: torch.Tensor, settings: Mapping[str, Any], resources: Resources) -> Outcome:
    """An image by itself, so that one of which the segmenter makes no map fails alone."""
    try:
        areas = shard_segmenter(settings["segmenter"], resources).areas(image[None]).numpy()
    except SegmenterError as error:
        return Failure(f"SegmenterError: {error}")
    return {"areas": areas[0]}
