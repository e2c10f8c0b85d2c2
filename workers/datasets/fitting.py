"""Whether one image fits the audit: its size in bytes, its shape, and the range of its values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .image_set import ImageError, Shape, UnfitError, describe_shape
from .picture_rule import PictureRule

_MOST_BYTES = 2**27
# Rounding leaves [0, 1] by less, and so do the filters that change an image's size.
_OVERSHOOT = 0.1


def require_size(name: str, size: int, most: int, rule: PictureRule) -> None:
    """Raises ImageError for a file of more bytes than an image of that shape can need.

    ``most`` is what one of that very shape may have; one that is resized may have more.
    """
    if rule.resizing is not None:
        most = max(most, _MOST_BYTES)
    if size > most:
        raise ImageError(
            f"{name} is too large: {size:,} bytes, but an image of shape "
            f"{describe_shape(rule.shape)} needs at most {most:,}"
        )


def require_image_shape(name: str, shape: tuple[int, ...], image_shape: Shape) -> None:
    """Raises UnfitError unless an image has the shape that the audit needs."""
    if shape != image_shape:
        raise UnfitError(
            f"{name} has shape {describe_shape(shape)}, but the audit needs "
            f"{describe_shape(image_shape)} (channels, height, width); resize it, or add resize: "
            "lanczos beside the dataset"
        )


def require_range(name: str, array: NDArray[Any]) -> None:
    """Raises UnfitError unless all values are in [0, 1]; for holes in them, ImageError."""
    if not np.isfinite(array).all():
        raise ImageError(
            f"{name} has {int((~np.isfinite(array)).sum())} values that are NaN or infinite"
        )
    low, high = float(array.min()), float(array.max())
    if low < 0 or high > 1:
        raise UnfitError(
            f"{name} has values from {low:.9g} to {high:.9g}, not [0, 1]; {_into_range(low, high)}"
        )


def _into_range(low: float, high: float) -> str:
    """What brings such values to [0, 1], as far as they tell where they come from."""
    if low >= -_OVERSHOOT and high <= 1 + _OVERSHOOT:
        return "clip them to it"
    if low < 0:
        return "if black is -1 and white 1, add 1 and divide by 2"
    return "divide them by the value of white"
