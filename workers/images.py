"""The ``images`` stage: every group of images materialised once, generated images included."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..core.likelihood import simulate
from ..core.quantisation import quantise
from .conditions import condition_tensor
from .datasets import ImageError, ImageSet, shard_image_set
from .generators import shard_generator
from .outcome import Failure, Outcome
from .resources import Resources
from .revisions import Computation, never
from .shard import Item

FROM_DATASET = Computation("offmanifold.workers.images:compute_dataset", "images.dataset", 1, never)
GENERATED = Computation("offmanifold.workers.images:compute_generated", "images.generated", 1)


def compute_dataset(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``images`` table for images of a dataset; a bad image is its own failure."""
    images = shard_image_set(settings, resources)
    shape = tuple(settings["image_shape"])
    return [_dataset_row(images, item, shape, settings["labelled"]) for item in items]


def _dataset_row(
    images: ImageSet, item: Item, image_shape: tuple[int, ...], labelled: bool
) -> Outcome:
    if item.index is None:
        raise ValueError(f"item {item.image_id} has no index in its dataset")
    try:
        pixels, label = images.image(item.index)
    except ImageError as error:
        return Failure(str(error))
    source = images.source(item.index)
    if pixels.shape != image_shape:
        return Failure(
            f"{source}: the image has shape {pixels.shape}, but the generator makes "
            f"{image_shape}; resize the image set"
        )
    return {**_pixel_columns(pixels), "label": label if labelled else None, "source": source}


def compute_generated(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``images`` table for noise-free images G(z) with z from the prior.

    They are rounded to the grey levels that the data are stored in: a control that no file could
    hold would be nearer to the manifold than any data can be.
    """
    generator = shard_generator(settings, resources)
    condition = condition_tensor(items, resources.device)
    seeds = [item.seed for item in items]
    with torch.no_grad():
        like = torch.empty(0, device=resources.device)
        images, latent = simulate(generator, condition, 0.0, seeds, like)
        images = quantise(images, settings["levels"])
    return [
        {
            **_pixel_columns(image),
            "source": f"{item.generator}:seed:{item.seed}",
            "latent": code.tolist(),
        }
        for item, image, code in zip(items, images.cpu().numpy(), latent.cpu().numpy(), strict=True)
    ]


def _pixel_columns(pixels: np.ndarray[Any, np.dtype[np.float32]]) -> dict[str, Any]:
    channels, height, width = pixels.shape
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "pixels": pixels.astype(np.float32).ravel().tolist(),
    }
