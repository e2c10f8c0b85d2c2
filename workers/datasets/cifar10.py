"""CIFAR-10 (Krizhevsky 2009) in its published files, binary or Python, packed or unpacked."""

import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...cluster.regular_file import read_regular
from .data_folders import data_folders, name_all
from .image_set import ArrayImageSet, DatasetError, Shape, require_shape, require_split

_SHAPE = (3, 32, 32)
_CLASSES = 10
_MOST_BYTES = 2**26
_PARTS = {"train": [f"data_batch_{number}" for number in range(1, 6)], "test": ["test_batch"]}
_PACKED = ("cifar-10-binary.tar.gz", "cifar-10-python.tar.gz")
_UNPACKED = ("cifar-10-batches-bin", "cifar-10-batches-py")


def open_cifar10(
    split: str, path: Path | None, image_shape: Shape | None, seed: int
) -> ArrayImageSet:
    """60,000 colour images of 32 x 32 in ten classes: 50,000 ``train``, 10,000 ``test``.

    Looks in ``path``, or else in OFFMANIFOLD_DATA/cifar-10, for either archive or its folder. The
    Python files are pickles, which are read without importing or calling what they name.
    """
    del seed
    require_split("cifar10", split, tuple(_PARTS))
    require_shape("cifar10", _SHAPE, image_shape)
    folders = [path] if path else data_folders("cifar-10")
    for folder in folders:
        for source in (*(folder / name for name in (*_UNPACKED, *_PACKED)), folder):
            parts = _read(source, _PARTS[split])
            if parts:
                pixels = np.concatenate([part[0] for part in parts])
                labels = np.concatenate([part[1] for part in parts])
                return ArrayImageSet("cifar10", split, pixels, labels)
    raise DatasetError(
        f"CIFAR-10 was not found in {name_all(folders)}. Put {' or '.join(_PACKED)} of "
        "https://www.cs.toronto.edu/~kriz/cifar.html there, packed or unpacked"
    )


def _read(
    source: Path, names: list[str]
) -> list[tuple[NDArray[np.uint8], NDArray[np.int64]]] | None:
    """The images and classes of every named part, or None where ``source`` holds none of them."""
    if source.is_dir():
        files = {file.name: file for file in source.iterdir() if file.stem in names}
        if not files:
            return None
        contents = {name: _bounded(file) for name, file in files.items()}
    elif source.name.endswith(".tar.gz") and source.is_file():
        contents = _unpacked(source, names)
    else:
        return None
    missing = [name for name in names if not {name, f"{name}.bin"} & set(contents)]
    if missing:
        raise DatasetError(f"{source} lacks {', '.join(missing)}; fetch CIFAR-10 again")
    return [
        _binary(source / f"{name}.bin", contents[f"{name}.bin"])
        if f"{name}.bin" in contents
        else _pickled(source / name, contents[name])
        for name in names
    ]


def _bounded(file: Path) -> bytes:
    try:
        return read_regular(file, _MOST_BYTES)
    except OSError as error:
        raise DatasetError(f"{file} cannot be read: {error.strerror}") from error


def _unpacked(archive: Path, names: list[str]) -> dict[str, bytes]:
    """The named parts' bytes, straight out of the archive: nothing is extracted."""
    contents = {}
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                name = Path(member.name).name
                if not member.isfile() or Path(name).stem not in names:
                    continue
                file = tar.extractfile(member)
                if file is None or member.size > _MOST_BYTES:
                    raise DatasetError(f"{archive}: {member.name} is not a part of CIFAR-10")
                contents[name] = file.read()
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise DatasetError(f"{archive} is not a whole archive ({error}); fetch it again") from error
    return contents


def _binary(name: Path, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Rows of a class byte and 3,072 bytes of pixels, channel by channel."""
    size = 1 + int(np.prod(_SHAPE))
    if not content or len(content) % size:
        raise DatasetError(f"{name} does not consist of rows of {size} bytes; fetch it again")
    rows = np.frombuffer(content, dtype=np.uint8).reshape(-1, size)
    return _checked(name, rows[:, 1:], rows[:, 0].astype(np.int64))


def _pickled(name: Path, content: bytes) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    from ..checkpoints.pickled_objects import Array, PickleError
    from ..checkpoints.unpickler import read_pickle

    try:
        # Written by Python 2, whose strings are bytes.
        table = read_pickle(content, encoding="bytes")
        pixels = table[b"data"].value if isinstance(table[b"data"], Array) else table[b"data"]
        labels = _labels(table[b"labels"])
    except (PickleError, LookupError, TypeError, ValueError, OverflowError) as error:
        raise DatasetError(f"{name} is not a part of CIFAR-10: {error}") from error
    return _checked(name, pixels, labels)


def _labels(listed: Any) -> NDArray[np.int64]:
    # Lists in lists, few in a file, may be more numbers than there is memory for.
    if not isinstance(listed, list) or any(type(label) is not int for label in listed):
        raise ValueError("its labels are not a list of whole numbers")
    return np.array(listed, dtype=np.int64)


def _checked(
    name: Path, pixels: Any, labels: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    size = int(np.prod(_SHAPE))
    if (
        not isinstance(pixels, np.ndarray)
        or pixels.dtype != np.uint8
        or pixels.shape != (len(labels), size)
        or labels.ndim != 1
        or not ((labels >= 0) & (labels < _CLASSES)).all()
    ):
        raise DatasetError(f"{name} does not hold images of {size} bytes and classes below 10")
    return pixels.reshape(-1, *_SHAPE), labels
