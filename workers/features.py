"""The ``features`` stage: what an extractor says of real and of generated images, kept for others.

A part depends on its images and the extractor alone, so that both meet once in a run.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ..core.quantisation import quantise
from .annotator import trained_annotator_of
from .copies import planted_images
from .extractors import shard_extractor
from .generated_images import draws_images
from .outcome import Outcome
from .pca import project
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item
from .usable_images import UsableImages, image_number, usable_images


def _calls_networks(settings: Mapping[str, Any]) -> bool:
    return draws_images(settings) or "annotator" in settings or "extractor" in settings


COMPUTATION = Computation("offmanifold.workers.features:compute", "features", 1, _calls_networks)

# space is pixels, pca (along principal components), annotator (what its last layer sees) or the
# name of an extractor; features are an image's vector there.
FEATURES_TABLE = TableSchema(
    "features",
    1,
    (("space", pa.string()), ("features", pa.list_(pa.float32()))),
    repeated_by=("space",),
    lists=(ListColumn("features"),),
)

_TOGETHER = 256


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``features`` table; images are rounded to the grey levels of the real ones."""
    found: list[Outcome] = []
    for start in range(0, len(items), _TOGETHER):
        found += _together(items[start : start + _TOGETHER], settings, resources)
    return found


def _together(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    if "planted" in settings:
        asked = planted_images([image_number(item) for item in items], settings, resources)
        asked = UsableImages(asked.images.to(resources.device), asked.failures)
    else:
        asked = usable_images(items, settings, "real", resources)
    if not len(asked.images):
        return asked.in_place([])
    return asked.in_place(_rows(asked.images, settings, resources))


def _rows(images: torch.Tensor, settings: Mapping[str, Any], resources: Resources) -> list[Outcome]:
    rounded = quantise(images.clamp(0, 1), settings.get("levels"))
    vectors = _features(rounded, settings, resources)
    return [{"space": settings["space"], "features": vector} for vector in vectors]


def _features(
    images: torch.Tensor, settings: Mapping[str, Any], resources: Resources
) -> np.ndarray:
    if "annotator" in settings:
        with torch.no_grad():
            images = trained_annotator_of(settings["annotator"], resources).features(images)
    elif "extractor" in settings:
        images = shard_extractor(settings["extractor"], resources)(images)
    elif "pca" in settings:
        projected = project(images.cpu().numpy(), settings["pca"], resources)
        return projected.astype(np.float32)
    vectors: np.ndarray = images.flatten(1).to(torch.float32).cpu().numpy()
    return vectors
