"""One picture, judged by its header before anything is decoded."""

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .image_set import ImageError, Shape, describe_shape
from .resized import Resizing

_MODES = {1: ("L",), 3: ("RGB", "P")}
# Pillow opens by content, not by suffix: without this list a PNG may be PostScript.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "GIF")
_MOST_PIXELS = 2**26
_MOST_BYTES = 2**27


def read_picture(
    content: bytes, name: str, image_shape: Shape, resizing: Resizing | None = None
) -> NDArray[np.float32]:
    """The pixels of a picture as float32 [C, H, W] in [0, 1].

    Args:
        content: the file's.
        name: what messages call it.
        image_shape: (channels, height, width) that it must have, or is brought to.
        resizing: to that shape, from any size, and grey to colour; without it nothing is changed.

    Raises:
        ImageError: another shape or mode, another format, damaged, or too large to be decoded.
    """
    channels = image_shape[0]
    try:
        with Image.open(io.BytesIO(content), formats=_FORMATS) as picture:
            # Judged by the header, so that a misfit of any size is never decoded.
            grey = resizing is not None and picture.mode == "L"
            if resizing is None:
                require_image_shape(name, (channels, picture.height, picture.width), image_shape)
            elif picture.height * picture.width > _MOST_PIXELS:
                raise ImageError(
                    f"{name} is too large: {picture.height}x{picture.width}; at most "
                    f"{_MOST_PIXELS:,} pixels can be resized"
                )
            if not grey:
                _require_mode(name, picture.mode, channels)
            pixels = np.asarray(picture.convert("L" if grey or channels == 1 else "RGB"))
    except UnidentifiedImageError as error:
        raise ImageError(
            f"{name} is not an image ({', '.join(_FORMATS)}), or is damaged"
        ) from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is too large to be decoded: {error}") from error
    except ImageError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{name} is damaged: {error}") from error
    image = np.atleast_3d(pixels).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    return image if resizing is None else resizing(name, image)


def require_size(name: str, size: int, most: int, shape: Shape, resizing: Resizing | None) -> None:
    """Raises ImageError for a file of more bytes than an image of that shape can need.

    ``most`` is what one of that very shape may have; one that is resized may have more.
    """
    if resizing is not None:
        most = max(most, _MOST_BYTES)
    if size > most:
        raise ImageError(
            f"{name} is too large: {size:,} bytes, but an image of shape {describe_shape(shape)} "
            f"needs at most {most:,}"
        )


def require_image_shape(name: str, shape: tuple[int, ...], image_shape: Shape) -> None:
    """Raises ImageError unless an image has the shape that the audit needs."""
    if shape != image_shape:
        raise ImageError(
            f"{name} has shape {describe_shape(shape)}, but the audit needs "
            f"{describe_shape(image_shape)} (channels, height, width); resize it, or add resize: "
            "lanczos beside the dataset"
        )


def _require_mode(name: str, mode: str, channels: int) -> None:
    if mode not in _MODES.get(channels, ()):
        raise ImageError(
            f"{name} has mode {mode}, but {channels} channel(s) of 8 bits are needed; convert "
            f"it to {'greyscale' if channels == 1 else 'RGB'}, or save it as .npy"
        )
