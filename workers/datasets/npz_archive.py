"""The .npz files that guided-diffusion and its evaluator exchange: ``arr_0`` and ``arr_1``."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..npz_file import NpzError, read_npz
from .image_set import ArrayImageSet, DatasetError, Shape, require_shape, require_split
from .labels import labels_of

_IMAGES, _CLASSES = "arr_0", "arr_1"


def open_npz(split: str, path: Path | None, image_shape: Shape | None, seed: int) -> ArrayImageSet:
    """Images ``arr_0``, uint8 [N, H, W, C], and their classes ``arr_1``, if there are any.

    Classes are whole numbers [N], one-hot vectors [N, classes] or text [N], the classes' names.

    What the file may expand to is bounded by its size (see `read_npz`).
    """
    del seed
    require_split("npz", split, ("",))
    if path is None:
        raise DatasetError("image set 'npz' needs a path: the .npz file")
    try:
        arrays = read_npz(path, (_IMAGES, _CLASSES), texts=(_CLASSES,))
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
    if labels.shape[:1] != (len(pixels),) or labels.ndim > 2 or 0 in labels.shape:
        raise DatasetError(
            f"{path}: {_CLASSES} must hold a class for each of the {len(pixels)} images of "
            f"{_IMAGES}; it is {labels.dtype} of shape {labels.shape}"
        )
    found = labels_of(_listed(labels, f"{path}: {_CLASSES}"), f"{path}: {_CLASSES}")
    return ArrayImageSet(
        "npz", split, channels_first, found.of_image, path=path, class_names=found.names
    )


def _listed(labels: NDArray[Any], place: str) -> list[Any]:
    """The classes as a list has them."""
    if labels.dtype.kind != "S":
        return list(labels.tolist())
    try:
        return [value.decode("utf-8") for value in labels.ravel().tolist()]
    except UnicodeDecodeError as error:
        raise DatasetError(f"{place} is not text in UTF-8: {error}") from error
