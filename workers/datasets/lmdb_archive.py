"""LSUN (Yu et al. 2015) as it is published: an lmdb of WebP or JPEG pictures by their keys."""

import functools
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...cluster.regular_file import open_regular
from .account import Account
from .fitting import require_size
from .image_set import (
    DatasetError,
    Header,
    ImageError,
    IndexedImages,
    Shape,
    require_index,
    require_split,
)
from .picture import read_header, read_picture
from .picture_rule import Alpha, PictureRule
from .resized import Resizing

_DATA = "data.mdb"
# Two pages in turn, each with the number of the last transaction.
_META_BYTES = 2 * 4096
_BYTES_PER_VALUE = 4
_BYTES_BESIDES = 2**20


class LmdbImages(IndexedImages):
    """Pictures of an lmdb in the order of their keys, unlabelled; a misfit is an ImageError."""

    name = "lmdb"
    split = ""
    num_classes = 0

    def __init__(self, path: Path, keys: list[bytes], rule: PictureRule) -> None:
        """``path`` is the folder with ``data.mdb``."""
        self.image_shape = rule.shape
        self.account = Account(len(keys), unclassed="an lmdb has none")
        self.length: int | None = len(keys)
        self._path = path
        self._keys = keys
        self._rule = rule

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return None

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        content, name = self._content(index)
        return read_picture(content, name, self._rule), None

    def header(self, index: int) -> Header:
        """See ImageSet."""
        return read_header(*self._content(index), self._rule)

    def _content(self, index: int) -> tuple[bytes, str]:
        """A picture's bytes, and what messages call it."""
        require_index(index, self.length)
        key = self._keys[index]
        name = f"{self._path}, {_text(key)}"
        with _database(self._path).begin() as transaction:
            content = transaction.get(key)
        if content is None:
            raise ImageError(f"{name} is gone: the database was changed")
        channels, height, width = self.image_shape
        most = channels * height * width * _BYTES_PER_VALUE + _BYTES_BESIDES
        require_size(name, len(content), most, self._rule)
        return content, name

    def source(self, index: int) -> str:
        """See ImageSet."""
        require_index(index, self.length)
        return f"lmdb:{self._path.as_posix()}:{_text(self._keys[index])}{self._rule.suffix}"

    def hash(self) -> str:
        """See ImageSet."""
        digest = self._rule.digest()
        with open_regular(self._path / _DATA) as file:
            hashlib.file_digest(file, lambda: digest)
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """See ImageSet; of the keys, the file's size, and its first pages, which count changes."""
        digest = self._rule.digest()
        for key in self._keys:
            digest.update(len(key).to_bytes(4) + key)
        data = self._path / _DATA
        with open_regular(data) as file:
            digest.update(data.stat().st_size.to_bytes(8) + file.read(_META_BYTES))
        return digest.hexdigest()


def open_lmdb(
    split: str,
    path: Path | None,
    image_shape: Shape | None,
    seed: int,
    resizing: Resizing | None = None,
    alpha: Alpha | None = None,
) -> LmdbImages:
    """The pictures of one of LSUN's folders, such as ``church_outdoor_train_lmdb``.

    They come in many sizes: without a resizing, those of another one do not fit.
    """
    del seed
    require_split("lmdb", split, ("",))
    if path is None or image_shape is None:
        raise DatasetError("image set 'lmdb' needs a path, the folder, and an image_shape")
    if not (path / _DATA).is_file():
        raise DatasetError(
            f"{path} has no {_DATA}: name the folder that LSUN's .zip holds, unpacked"
        )
    with _database(path).begin() as transaction:
        keys = list(transaction.cursor().iternext(keys=True, values=False))
    if not keys:
        raise DatasetError(f"{path} is an empty lmdb")
    return LmdbImages(path, keys, PictureRule(image_shape, resizing, alpha))


def _database(path: Path) -> Any:
    """The open database, of which a process may have no second one."""
    return _open(str(path.resolve()), os.getpid())


@functools.cache
def _open(path: str, _process: int) -> Any:
    try:
        import lmdb
    except ModuleNotFoundError as error:
        raise DatasetError(
            f"{path}: reading an lmdb needs the package lmdb: pip install lmdb"
        ) from error
    try:
        # Unlocked, so that a folder that may not be written can be read.
        database = lmdb.open(path, readonly=True, lock=False, readahead=False, meminit=False)
        _require_whole(Path(path, _DATA), database)
    except lmdb.Error as error:
        raise DatasetError(f"{path} is not a whole lmdb ({error}); fetch it again") from error
    return database


def _require_whole(file: Path, database: Any) -> None:
    """Raises DatasetError for a file that ends early: to read beyond its end ends the process."""
    pages, found = database.info()["last_pgno"] + 1, file.stat().st_size
    expected = pages * database.stat()["psize"]
    if found < expected:
        database.close()
        raise DatasetError(
            f"{file} has {found:,} bytes, but its header says {expected:,}; fetch it again"
        )


def _text(key: bytes) -> str:
    return key.decode("ascii", errors="backslashreplace")
