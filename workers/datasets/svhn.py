"""Street View House Numbers (Netzer et al. 2011), cropped digits, in their published files."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .data_folders import data_folders, name_all
from .image_set import ArrayImageSet, DatasetError, Shape, require_shape, require_split

_SHAPE = (3, 32, 32)
_SPLITS = ("train", "test", "extra")
# The largest of them, `extra`, has 531,131 images: 1.6e9 bytes.
_MOST_BYTES = 2 * 2**30
_TEN = 10


def open_svhn(split: str, path: Path | None, image_shape: Shape | None, seed: int) -> ArrayImageSet:
    """Colour digits of 32 x 32: 73,257 ``train``, 26,032 ``test``, 531,131 ``extra``.

    Looks in ``path``, or else in OFFMANIFOLD_DATA/svhn, for ``train_32x32.mat`` and so on. The
    files' class 10 is the digit 0.
    """
    del seed
    require_split("svhn", split, _SPLITS)
    require_shape("svhn", _SHAPE, image_shape)
    folders = [path] if path else data_folders("svhn")
    name = f"{split}_32x32.mat"
    file = next((folder / name for folder in folders if (folder / name).is_file()), None)
    if file is None:
        raise DatasetError(
            f"SVHN was not found in {name_all(folders)}. Put {name} from "
            "http://ufldl.stanford.edu/housenumbers there"
        )
    content = _load(file)
    pixels, labels = content.get("X"), content.get("y")
    if (
        not isinstance(pixels, np.ndarray)
        or not isinstance(labels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.shape != (32, 32, 3, labels.size)
        or not ((labels >= 1) & (labels <= _TEN)).all()
    ):
        raise DatasetError(
            f"{file} must hold X, uint8 [32, 32, 3, images], and y, classes from 1 to 10; "
            "fetch it again"
        )
    return ArrayImageSet(
        "svhn", split, pixels.transpose(3, 2, 0, 1), labels.ravel().astype(np.int64) % _TEN
    )


def _load(file: Path) -> dict[str, Any]:
    from scipy.io import loadmat, whosmat

    if file.stat().st_size > _MOST_BYTES:
        raise DatasetError(f"{file} is larger than {_MOST_BYTES:,} bytes, so it is not SVHN's")
    # Compressed, a small file may hold any number of values; their shapes are read first.
    with _damage_explained(file):
        arrays = whosmat(file)
    _refuse_excess(file, arrays)
    with _damage_explained(file):
        content: dict[str, Any] = loadmat(file, variable_names=["X", "y"])
    return content


@contextmanager
def _damage_explained(file: Path) -> Iterator[None]:
    from scipy.io.matlab import MatReadError

    try:
        yield
    except (MatReadError, ValueError, TypeError, OSError, NotImplementedError) as error:
        raise DatasetError(
            f"{file} is not a whole MATLAB file ({error}); fetch it again"
        ) from error


def _refuse_excess(file: Path, arrays: list[tuple[str, tuple[int, ...], str]]) -> None:
    for name, shape, kind in arrays:
        size = math.prod(shape) * (1 if kind == "uint8" else 8)
        if name in ("X", "y") and size > _MOST_BYTES:
            raise DatasetError(
                f"{file}: {name} has {size:,} bytes, but SVHN's has at most {_MOST_BYTES:,}"
            )
