"""One PNG or JPEG picture, judged by its header before anything is decoded."""

from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .image_set import ImageError, Shape, describe_shape

PICTURES = (".png", ".jpg", ".jpeg")

_MODES = {1: ("L",), 3: ("RGB", "P")}
# Pillow opens by content, not by suffix: without this list a PNG may be PostScript.
_FORMATS = ("PNG", "JPEG")


def read_picture(source: Path | IO[bytes], name: str, image_shape: Shape) -> NDArray[np.float32]:
    """The pixels of a picture as float32 [C, H, W] in [0, 1]; nothing is resized or converted.

    Args:
        source: the file, or a stream of its bytes.
        name: what messages call it.
        image_shape: (channels, height, width) that it must have.

    Raises:
        ImageError: another shape or mode, no PNG or JPEG, damaged, or too large to be decoded.
        OSError: the file cannot be opened.
    """
    channels = image_shape[0]
    try:
        with Image.open(source, formats=_FORMATS) as picture:
            # Judged by the header, so that a misfit of any size is never decoded.
            _require_mode(name, picture.mode, channels)
            require_image_shape(name, (channels, picture.height, picture.width), image_shape)
            pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
    except UnidentifiedImageError as error:
        raise ImageError(f"{name} is not a PNG or JPEG image, or is damaged") from error
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} is too large to be decoded: {error}") from error
    except ImageError:
        raise
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageError(f"{name} is damaged: {error}") from error
    return np.atleast_3d(pixels).transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def require_image_shape(name: str, shape: tuple[int, ...], image_shape: Shape) -> None:
    """Raises ImageError unless an image has the shape that the audit needs."""
    if shape != image_shape:
        raise ImageError(
            f"{name} has shape {describe_shape(shape)}, but the audit needs "
            f"{describe_shape(image_shape)} (channels, height, width); resize it, nothing "
            f"is resized here"
        )


def _require_mode(name: str, mode: str, channels: int) -> None:
    if mode not in _MODES.get(channels, ()):
        raise ImageError(
            f"{name} has mode {mode}, but {channels} channel(s) of 8 bits are needed; convert "
            f"it to {'greyscale' if channels == 1 else 'RGB'}, or save it as .npy"
        )
