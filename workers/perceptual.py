"""The ``perceptual`` stage: LPIPS between each image and its reconstruction."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from .conditions import condition_tensor
from .generators import shard_generator
from .inversion import inverted
from .lpips_backbone import shard_distance
from .outcome import Failure, Outcome
from .resources import Resources
from .revisions import Computation
from .schema import TableSchema
from .shard import Item
from .stored_images import stored_images

COMPUTATION = Computation("offmanifold.workers.perceptual:compute", "perceptual", 1)

# LPIPS between an image and its reconstruction at the inversion's best latent.
PERCEPTUAL_TABLE = TableSchema("perceptual", 1, (("lpips", pa.float64()),), always=("lpips",))

# LPIPS holds all layers' activations of a batch at once.
_BATCH = 32


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``perceptual`` table; an image without a reconstruction is a failure."""
    found = [item for item in items if item.inversion_part is not None]
    values = iter(
        value
        for start in range(0, len(found), _BATCH)
        for value in _distances(found[start : start + _BATCH], settings, resources)
    )
    return [
        {"lpips": next(values)}
        if item.inversion_part is not None
        else Failure("the inversion stage has no reconstruction of this image: it failed there")
        for item in items
    ]


def _distances(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[float]:
    distance = shard_distance(settings, resources)
    generator = shard_generator(settings, resources)
    latent = torch.from_numpy(np.stack([inverted(item, "latent", resources) for item in items]))
    with torch.no_grad():
        images = generator(latent.to(resources.device), condition_tensor(items, resources.device))
        found: list[float] = distance(images, stored_images(items, resources)).double().tolist()
    return found
