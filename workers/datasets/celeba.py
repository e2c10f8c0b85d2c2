"""CelebA (Liu et al. 2015), aligned: a folder of faces, and lists of what is in them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ...cluster.regular_file import read_regular
from .account import Account
from .data_folders import data_folders, name_all
from .folder import FolderPlace
from .image_set import DatasetError, Shape, require_split
from .label_files import read_table
from .labels import Labels
from .listed_images import FoundImages, ListedImages
from .picture_rule import Alpha, PictureRule
from .resized import Resizing

_SPLITS = ("train", "valid", "test")
_PICTURES = "img_align_celeba"
_ATTRIBUTES = "list_attr_celeba.txt"
_PARTITION = "list_eval_partition.txt"
# The two lists have 27 and 3 megabytes.
_MOST_BYTES = 2**28
_ADDRESS = "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"


def open_celeba(
    split: str,
    path: Path | None,
    image_shape: Shape | None,
    seed: int,
    resizing: Resizing | None = None,
    alpha: Alpha | None = None,
    attribute: str | Sequence[str] | None = None,
) -> ListedImages:
    """Faces of 178 x 218: 162,770 ``train``, 19,867 ``valid``, 19,962 ``test``; all with "".

    Looks in ``path``, or else in OFFMANIFOLD_DATA/celeba, for the folder ``img_align_celeba`` and
    the lists beside it (or in the subfolders Img, Anno and Eval): of attributes where one is named,
    of the partition where a split is. One attribute is the class: 1 with it, 0 without. Several
    are the bits of its number, the first the highest. Kaggle's copy, with lists in CSV, is of the
    same kind.
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
    inner = found / _PICTURES
    found = inner if inner.is_dir() else found
    names = _of_split(base, split) if split else sorted(f.name for f in found.glob("*.jpg"))
    if not names:
        raise DatasetError(f"{found} holds no pictures of split {split!r}: expected .jpg files")
    labels = None if attribute is None else _classes(base, attribute, names)
    account = Account(len(names), unclassed="no attribute is named" if labels is None else None)
    images = FoundImages(tuple(names), labels, account)
    return ListedImages(
        "celeba", split, FolderPlace(found), images, PictureRule(image_shape, resizing, alpha)
    )


def _find(folder: Path, *names: str) -> Path | None:
    parts = ("", "Img", "Anno", "Eval")
    places = (folder / part / name for name in names for part in parts)
    return next((place for place in places if place.exists()), None)


def _list(base: Path, name: str) -> tuple[Path, bytes]:
    """One of the lists, as published or as Kaggle has it."""
    file = _find(base, name, str(Path(name).with_suffix(".csv")))
    if file is None:
        raise DatasetError(f"{base} has no {name}: put it there, from {_ADDRESS}")
    try:
        return file, read_regular(file, _MOST_BYTES)
    except OSError as error:
        raise DatasetError(f"{file} cannot be read: {error.strerror}") from error


def _of_split(base: Path, split: str) -> list[str]:
    file, content = _list(base, _PARTITION)
    parts = read_table(content, str(file)).column(None, str(file))
    if any(part not in (0, 1, 2) for _, part in parts):
        raise DatasetError(f"{file}: each line must be a picture's name and 0, 1 or 2")
    return _as_names(file, [name for name, part in parts if part == _SPLITS.index(split)])


def _classes(base: Path, attribute: str | Sequence[str], names: list[str]) -> Labels:
    attributes = [attribute] if isinstance(attribute, str) else attribute
    file, content = _list(base, _ATTRIBUTES)
    has = dict(read_table(content, str(file)).joint(attributes, str(file)))
    missing = [name for name in names if name not in has]
    if missing:
        raise DatasetError(f"{file} lacks {len(missing)} pictures, such as {missing[0]}")
    of_image = np.array([has[name] for name in names], dtype=np.int64)
    return Labels(of_image, None, 2 ** len(attributes))


def _as_names(file: Path, names: list[str]) -> list[str]:
    leading = [name for name in names if Path(name).name != name]
    if leading:
        raise DatasetError(f"{file}: {leading[0]!r} leads out of {_PICTURES}")
    return names
