"""The .npz files that guided-diffusion and its evaluator exchange: ``arr_0`` and ``arr_1``."""

from pathlib import Path

import numpy as np

from ..npz_file import NpzError, read_npz
from .image_set import ArrayImageSet, DatasetError, Shape, require_shape, require_split

_IMAGES, _CLASSES = "arr_0", "arr_1"


def open_npz(split: str, path: Path | None, image_shape: Shape | None, seed: int) -> ArrayImageSet:
    """Images ``arr_0``, uint8 [N, H, W, C], and their classes ``arr_1`` [N], if there are any.

    What the file may expand to is bounded by its size (see `read_npz`).
    """
    del seed
    require_split("npz", split, ("",))
    if path is None:
        raise DatasetError("image set 'npz' needs a path: the .npz file")
    try:
        arrays = read_npz(path, (_IMAGES, _CLASSES))
    except NpzError as error:
        raise DatasetError(f"{path}: {error}") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    if _IMAGES not in arrays:
        raise DatasetError(f"{path} has no array {_IMAGES}: images [N, H, W, C]")
    pixels, labels = arrays[_IMAGES], arrays.get(_CLASSES)
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or 0 in pixels.shape:
        raise DatasetError(
            f"{path}: {_IMAGES} must be uint8 [images, height, width, channels], but is "
            f"{pixels.dtype} of shape {pixels.shape}"
        )
    require_shape("npz", (pixels.shape[3], *pixels.shape[1:3]), image_shape)
    channels_first = pixels.transpose(0, 3, 1, 2)
    if labels is None:
        return ArrayImageSet("npz", split, channels_first, None, path=path)
    count = len(pixels)
    if labels.shape != (count,) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DatasetError(
            f"{path}: {_CLASSES} must hold a class, a whole number from 0, for each of the "
            f"{count} images of {_IMAGES}; it is {labels.dtype} of shape {labels.shape}"
        )
    return ArrayImageSet("npz", split, channels_first, labels.astype(np.int64), path=path)
