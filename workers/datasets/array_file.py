"""One image in a .npy file, judged by its header before memory is taken for it."""

import io
import math
import tokenize
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .image_set import ImageError, Shape
from .picture import require_image_shape
from .resized import Resizing


def read_array(
    content: bytes, name: str, image_shape: Shape, resizing: Resizing | None = None
) -> NDArray[np.float32]:
    """The image [C, H, W] of a ``.npy`` file: floats in [0, 1].

    Raises:
        ImageError: another shape or type, values outside of [0, 1], or damaged; ``name`` is what
            messages call it.
    """
    array = _array(content, name)
    if array.dtype.kind != "f":
        raise ImageError(
            f"{name} must hold floats in [0, 1] as [channels, height, width], not {array.dtype}"
        )
    if resizing is None:
        require_image_shape(name, array.shape, image_shape)
    elif array.ndim != 3 or array.shape[0] not in (1, image_shape[0]) or 0 in array.shape:
        raise ImageError(
            f"{name} has shape {array.shape}, expected [channels, height, width] with 1 or "
            f"{image_shape[0]} channels"
        )
    require_range(name, array)
    image = np.array(array, dtype=np.float32)
    return image if resizing is None else resizing(name, image)


def require_range(name: str, array: NDArray[Any]) -> None:
    """Raises ImageError unless all values are finite and in [0, 1]."""
    if not np.isfinite(array).all():
        raise ImageError(
            f"{name} has {int((~np.isfinite(array)).sum())} values that are NaN or infinite"
        )
    if array.min() < 0 or array.max() > 1:
        raise ImageError(
            f"{name} has values from {array.min():.3g} to {array.max():.3g}, not [0, 1]; divide "
            "them by the value of white"
        )


def _array(content: bytes, name: str) -> NDArray[Any]:
    stream = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(stream)
    except (ValueError, EOFError, tokenize.TokenError) as error:
        raise ImageError(f"{name} is not a whole .npy array: {error}") from error
    data = content[stream.tell() :]
    if dtype.hasobject or any(size < 0 for size in shape):
        raise ImageError(f"{name} is not a whole .npy array of numbers, but {dtype} of {shape}")
    if math.prod(shape) * dtype.itemsize != len(data):
        raise ImageError(f"{name} is not a whole .npy array: it does not hold {shape} of {dtype}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")
