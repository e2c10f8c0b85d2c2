"""CelebA (Liu et al. 2015), aligned: a folder of faces, and lists of what is in them."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .data_folders import data_folders, name_all
from .folder import FolderImages
from .image_set import DatasetError, Shape, require_split
from .resized import Resizing

_SPLITS = ("train", "valid", "test")
_PICTURES = "img_align_celeba"
_ATTRIBUTES = "list_attr_celeba.txt"
_PARTITION = "list_eval_partition.txt"
# The two lists have 27 and 3 megabytes.
_MOST_BYTES = 2**28
_ADDRESS = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"


class CelebaImages(FolderImages):
    """Faces, with one of their attributes (1) or its absence (0) for the class, if one is named."""

    name = "celeba"

    def __init__(
        self,
        folder: Path,
        split: str,
        image_shape: Shape,
        files: list[Path],
        classes: NDArray[np.int64] | None,
        resizing: Resizing | None,
    ) -> None:
        """``classes`` [N] are those of the ``files``."""
        super().__init__(folder, split, image_shape, files, [], resizing)
        self.num_classes = 0 if classes is None else 2
        self._of_file = classes

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return self._of_file

    def hash(self) -> str:
        """See ImageSet."""
        return self._with_classes(super().hash())

    def fingerprint(self) -> str:
        """See FolderImages."""
        return self._with_classes(super().fingerprint())

    def _with_classes(self, digest: str) -> str:
        classes = b"" if self._of_file is None else self._of_file.tobytes()
        return hashlib.sha256(digest.encode() + classes).hexdigest()

    def _label(self, index: int) -> int | None:
        return None if self._of_file is None else int(self._of_file[index])


def open_celeba(
    split: str,
    path: Path | None,
    image_shape: Shape | None,
    seed: int,
    resizing: Resizing | None = None,
    attribute: str | None = None,
) -> CelebaImages:
    """Faces of 178 x 218: 162,770 ``train``, 19,867 ``valid``, 19,962 ``test``; all with "".

    Looks in ``path``, or else in OFFMANIFOLD_DATA/celeba, for the folder ``img_align_celeba`` and
    the lists beside it (or in the subfolders Img, Anno and Eval): of attributes where one is named,
    of the partition where a split is.
    """
    del seed
    require_split("celeba", split, ("", *_SPLITS))
    if image_shape is None:
        raise DatasetError("image set 'celeba' needs an image_shape")
    folders = [path] if path else data_folders("celeba")
    found = next((file for folder in folders if (file := _find(folder, _PICTURES))), None)
    if found is None:
        raise DatasetError(
            f"CelebA was not found in {name_all(folders)}. Unpack {_PICTURES}.zip from "
            f"{_ADDRESS} there, and put {_ATTRIBUTES} and {_PARTITION} beside it"
        )
    base = found.parent if found.parent in folders else found.parent.parent
    names = _of_split(base, split) if split else sorted(f.name for f in found.glob("*.jpg"))
    if not names:
        raise DatasetError(f"{found} holds no pictures of split {split!r}: expected .jpg files")
    classes = None if attribute is None else _classes(base, attribute, names)
    return CelebaImages(found, split, image_shape, [Path(n) for n in names], classes, resizing)


def _find(folder: Path, name: str) -> Path | None:
    places = (folder / name, *(folder / part / name for part in ("Img", "Anno", "Eval")))
    return next((place for place in places if place.exists()), None)


def _lines(base: Path, name: str) -> tuple[Path, list[list[str]]]:
    """A list's rows, split into words."""
    file = _find(base, name)
    if file is None:
        raise DatasetError(f"{base} has no {name}: put it there, from {_ADDRESS}")
    if file.stat().st_size > _MOST_BYTES:
        raise DatasetError(f"{file} is larger than {_MOST_BYTES:,} bytes, so it is not CelebA's")
    try:
        return file, [line.split() for line in file.read_text("ascii").splitlines() if line]
    except UnicodeDecodeError as error:
        raise DatasetError(f"{file} is not one of CelebA's lists: {error}") from error


def _of_split(base: Path, split: str) -> list[str]:
    file, rows = _lines(base, _PARTITION)
    if any(len(row) != 2 or row[1] not in ("0", "1", "2") for row in rows):
        raise DatasetError(f"{file}: each line must be a picture's name and 0, 1 or 2")
    return _as_names(file, [name for name, part in rows if int(part) == _SPLITS.index(split)])


def _classes(base: Path, attribute: str, names: list[str]) -> NDArray[np.int64]:
    file, rows = _lines(base, _ATTRIBUTES)
    attributes = rows[1] if len(rows) > 1 else []
    if attribute not in attributes:
        raise DatasetError(
            f"{file} has no attribute {attribute!r}; it has: {', '.join(attributes) or 'none'}"
        )
    place = attributes.index(attribute) + 1
    if any(len(row) != len(attributes) + 1 or row[place] not in ("1", "-1") for row in rows[2:]):
        raise DatasetError(
            f"{file}: each line after the second must be a picture's name and {len(attributes)} "
            "values of 1 or -1"
        )
    has = {row[0]: row[place] == "1" for row in rows[2:]}
    missing = [name for name in names if name not in has]
    if missing:
        raise DatasetError(f"{file} lacks {len(missing)} pictures, such as {missing[0]}")
    return np.array([has[name] for name in names], dtype=np.int64)


def _as_names(file: Path, names: list[str]) -> list[str]:
    leading = [name for name in names if Path(name).name != name]
    if leading:
        raise DatasetError(f"{file}: {leading[0]!r} leads out of {_PICTURES}")
    return names
