"""The ``perceptual`` stage: LPIPS between each image and its reconstruction."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .conditions import condition_tensor
from .outcome import Failure, Outcome
from .resources import Resources
from .shard import Item

# LPIPS holds all layers' activations of a batch at once.
_BATCH = 32


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``perceptual`` table; an image without a reconstruction is a failure."""
    inverted = [item for item in items if item.inversion_part is not None]
    values = iter(
        value
        for start in range(0, len(inverted), _BATCH)
        for value in _distances(inverted[start : start + _BATCH], settings, resources)
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
    distance = resources.perceptual(settings["perceptual_network"], settings["perceptual_weights"])
    generator = resources.generator(settings)
    latent = torch.from_numpy(np.stack([resources.inverted(item, "latent") for item in items]))
    with torch.no_grad():
        images = generator(latent.to(resources.device), condition_tensor(items, resources.device))
        found: list[float] = distance(images, resources.images(items)).double().tolist()
    return found
