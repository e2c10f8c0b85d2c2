"""The .npz files that guided-diffusion and its evaluator exchange: ``arr_0`` and ``arr_1``."""

import math
import zipfile
import zlib
from pathlib import Path

import numpy as np

from .image_set import ArrayImageSet, DatasetError, Shape, require_shape, require_split

_IMAGES = "arr_0.npy"


def open_npz(split: str, path: Path | None, image_shape: Shape | None, seed: int) -> ArrayImageSet:
    """Images ``arr_0``, uint8 [N, H, W, C], and their classes ``arr_1`` [N], if there are any."""
    del seed
    require_split("npz", split, ("",))
    if path is None:
        raise DatasetError("image set 'npz' needs a path: the .npz file")
    try:
        with zipfile.ZipFile(path) as archive:
            shape = _require_images(path, archive, image_shape)
        with np.load(path, allow_pickle=False) as arrays:
            pixels = arrays["arr_0"].transpose(0, 3, 1, 2)
            labels = arrays.get("arr_1")
    except (zipfile.BadZipFile, zlib.error, ValueError, EOFError) as error:
        if isinstance(error, DatasetError):
            raise
        raise DatasetError(f"{path} is not a whole .npz file ({error}); fetch it again") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    if labels is None:
        return ArrayImageSet("npz", split, pixels, None, path=path)
    if labels.shape != (shape[0],) or labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DatasetError(
            f"{path}: arr_1 must hold a class, a whole number from 0, for each of the {shape[0]} "
            f"images of arr_0; it is {labels.dtype} of shape {labels.shape}"
        )
    return ArrayImageSet("npz", split, pixels, labels.astype(np.int64), path=path)


def _require_images(path: Path, archive: zipfile.ZipFile, wanted: Shape | None) -> tuple[int, ...]:
    """The shape of ``arr_0``, by its header, before memory is taken for its pixels."""
    if _IMAGES not in archive.namelist():
        raise DatasetError(f"{path} has no array arr_0: {', '.join(archive.namelist()) or 'empty'}")
    with archive.open(_IMAGES) as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0
            if version == (1, 0)
            else (np.lib.format.read_array_header_2_0)
        )
        shape, _, dtype = read(file)
    if dtype != np.uint8 or len(shape) != 4 or 0 in shape:
        raise DatasetError(
            f"{path}: arr_0 must be uint8 [images, height, width, channels], it is {dtype} of "
            f"shape {shape}"
        )
    # The header may claim less than the archive's entry expands to, or more.
    if archive.getinfo(_IMAGES).file_size > math.prod(shape) + 2**16:
        raise DatasetError(f"{path}: arr_0 holds more bytes than its header says")
    require_shape("npz", (shape[3], shape[1], shape[2]), wanted)
    return tuple(shape)
