"""Checks that a batch's parts belong together."""

import math
from collections.abc import Sequence

from torch import Tensor

from .generators.protocol import Generator


def check_batch(
    generator: Generator, images: Tensor, condition: Tensor | None, seeds: Sequence[int]
) -> None:
    """Checks a batch of items: one seed and, if any, one condition for each image.

    Raises:
        ValueError: if the images' shape is not the generator's or a number differs.
    """
    if tuple(images.shape[1:]) != tuple(generator.image_shape):
        raise ValueError(
            f"images have shape {tuple(images.shape[1:])}, but the generator makes "
            f"{tuple(generator.image_shape)} (channels, height, width)"
        )
    if len(seeds) != len(images):
        raise ValueError(f"{len(seeds)} seeds for {len(images)} images: give one per image")
    if condition is not None and len(condition) != len(images):
        raise ValueError(f"{len(condition)} conditions for {len(images)} images: give one each")


def check_variance(variance: float) -> None:
    """Checks sigma^2.

    Raises:
        ValueError: if it is not positive and finite.
    """
    if not (variance > 0 and math.isfinite(variance)):
        raise ValueError(f"variance = {variance}: the noise variance must be positive and finite")
