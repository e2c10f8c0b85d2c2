"""One image in a .npy file, judged by its header before memory is taken for it."""

import io
import math
import tokenize
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fitting import require_image_shape, require_range
from .image_set import ImageError, UnfitError
from .picture_rule import PictureRule


def read_array(content: bytes, name: str, rule: PictureRule) -> NDArray[np.float32]:
    """The image [C, H, W] of a ``.npy`` file: floats in [0, 1].

    A single channel is repeated to three, as a grey picture's is.

    Raises:
        UnfitError: another shape or type, or values outside of [0, 1]; ``name`` is what messages
            call it.
        ImageError: damaged, or with values that are NaN or infinite.
    """
    array = _array(content, name)
    if array.dtype.kind != "f":
        raise UnfitError(
            f"{name} must hold floats in [0, 1] as [channels, height, width], not {array.dtype}"
        )
    channels = rule.channels
    is_grey = array.ndim == 3 and array.shape[0] == 1 and channels == 3
    if rule.resizing is None:
        shape = (channels, *array.shape[1:]) if is_grey else array.shape
        require_image_shape(name, shape, rule.shape)
    elif array.ndim != 3 or array.shape[0] not in (1, channels) or 0 in array.shape:
        raise UnfitError(
            f"{name} has shape {array.shape}, expected [channels, height, width] with 1 or "
            f"{channels} channels"
        )
    require_range(name, array)
    image = np.array(array, dtype=np.float32)
    if rule.resizing is not None:
        return rule.resizing(name, image)
    return image.repeat(channels, axis=0) if is_grey else image


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
