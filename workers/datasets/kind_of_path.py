"""Of which kind of image set a path is, by what lies there: for those who named another kind."""

import os
import zipfile
from itertools import chain, islice
from pathlib import Path

from ..npz_file import ZIP_DAMAGE, is_npz
from .listing import SUFFIXES

# Of a folder, some entries tell; there may be a million.
_LOOKED_AT = 1000
_TELLING = {
    "data.mdb": "lmdb",
    "audit.yaml": "run",
    "cifar-10-batches-py": "cifar10",
    "data_batch_1": "cifar10",
    "train_32x32.mat": "svhn",
    "img_align_celeba": "celeba",
}
# The sets of IDX files have the same names.
_IDX = ("mnist", "fashion_mnist")


def kind_of_path(path: Path) -> str | None:
    """The name of the image set that a path looks like; None where nothing tells."""
    try:
        if path.is_file():
            return _kind_of_file(path)
        if path.is_dir():
            return _kind_of_folder(path)
    except OSError:
        pass
    return None


def other_kind(name: str, path: Path) -> str | None:
    """The kind that a path looks like, where that is another than ``name``."""
    found = kind_of_path(path)
    return None if found == name or (found in _IDX and name in _IDX) else found


def _kind_of_file(path: Path) -> str | None:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except ZIP_DAMAGE:
        return None
    if is_npz(members):
        return "npz"
    pictured = any(member.filename.lower().endswith(SUFFIXES) for member in members)
    return "zip" if pictured else None


def _kind_of_folder(path: Path) -> str | None:
    with os.scandir(path) as scan:
        entries = list(islice(scan, _LOOKED_AT))
    names = {entry.name for entry in entries}
    for name, kind in _TELLING.items():
        if name in names:
            return kind
    if any(name.startswith("train-images-idx3-ubyte") for name in names):
        return _IDX[0]
    # The parts of a set, train and test, may have a folder for each class.
    inside = _some_folders(path)
    deeper = chain.from_iterable(map(_some_folders, inside))
    below = chain.from_iterable(map(_some_names, chain(inside, deeper)))
    pictured = any(name.lower().endswith(SUFFIXES) for name in chain(names, below))
    return "folder" if pictured else None


def _some_folders(folder: Path) -> list[Path]:
    with os.scandir(folder) as scan:
        found = (folder / entry.name for entry in islice(scan, _LOOKED_AT) if entry.is_dir())
        return list(islice(found, 3))


def _some_names(folder: Path) -> list[str]:
    with os.scandir(folder) as scan:
        return [entry.name for entry in islice(scan, _LOOKED_AT)]
