"""The classes of images as a list has them: numbers, one-hot vectors or names, for each file.

A list names files as it was written for them: by their path, or by their name alone where they were
moved, or without the suffix where they were converted. The first of these that finds an image is
used, and only if no two images have it in common.
"""

import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .image_set import DatasetError

EXPECTED = "whole numbers from 0, one-hot vectors, or names; one kind for all"


@dataclass(frozen=True)
class Labels:
    """A class for each image, ``of_image`` [N]; ``names`` by class, where they are not numbers.

    ``least`` is how many classes there are, though the images may have fewer.
    """

    of_image: NDArray[np.int64]
    names: tuple[str, ...] | None
    least: int = 0

    @property
    def count(self) -> int:
        """How many classes there are."""
        found = int(self.of_image.max()) + 1 if self.names is None else len(self.names)
        return max(found, self.least)


def labels_of(values: Sequence[Any], place: str) -> Labels:
    """The classes that ``values`` mean, one for each image: all whole, one-hot, or text.

    Raises:
        DatasetError: they are of several kinds or of another; ``place`` is where they are from.
    """
    if all(isinstance(value, str) for value in values):
        names, of_image = np.unique(list(values), return_inverse=True)
        return Labels(of_image.astype(np.int64), tuple(names.tolist()))
    if all(isinstance(value, Sequence) and not isinstance(value, str) for value in values):
        return Labels(_hot(values, place), None)
    wrong = next((value for value in values if not _is_number(value)), None)
    if wrong is not None:
        raise DatasetError(f"{place}: found the class {wrong!r:.60}, expected {EXPECTED}")
    return Labels(np.array([int(value) for value in values], dtype=np.int64), None)


def _is_number(value: object) -> bool:
    """Whether it is a whole number from 0 that a class can have."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value < 2**31 and value == int(value)


def _hot(vectors: Sequence[Sequence[Any]], place: str) -> NDArray[np.int64]:
    """The place of the one in each vector."""
    lengths = {len(vector) for vector in vectors}
    for vector in vectors:
        if len(lengths) > 1 or sorted(map(str, map(_as_int, vector))) != _one_hot(len(vector)):
            raise DatasetError(
                f"{place}: found the class {list(vector)!r:.60}, a vector that is not one-hot, "
                f"expected {EXPECTED}"
            )
    return np.array([list(map(_as_int, v)).index(1) for v in vectors], dtype=np.int64)


def _as_int(value: object) -> object:
    return int(value) if isinstance(value, int | float) and value in (0, 1) else value


def _one_hot(length: int) -> list[str]:
    return ["0"] * (length - 1) + ["1"]


_KEYS: tuple[Callable[[str], str], ...] = (
    lambda name: name,
    lambda name: PurePosixPath(name).name,
    lambda name: PurePosixPath(name).with_suffix("").as_posix(),
    lambda name: PurePosixPath(name).stem,
)


@dataclass(frozen=True)
class Matched:
    """What a list says of each image: a value, or None where it has none; and what is left over."""

    values: list[Any]
    unused: int


def match(listed: Iterable[tuple[str, Any]], images: Sequence[str], place: str) -> Matched:
    """The listed value of each image.

    Raises:
        DatasetError: the list has a file twice with different values, or none of the images.
    """
    entries = [(_normal(name), value) for name, value in listed]
    names = [_normal(name) for name in images]
    _refuse_contradictions(entries, place)
    for key in _KEYS:
        wanted = [key(name) if name else name for name in names]
        values = _by_key(entries, key)
        if values is None or len(set(wanted)) < len(wanted):
            continue
        if any(each in values for each in wanted):
            used = len(values.keys() & set(wanted))
            return Matched([values.get(each) for each in wanted], len(values) - used)
    example = f"it has {entries[0][0]!r:.80}" if entries else "it is empty"
    raise DatasetError(
        f"{place} has a class for none of the {len(images):,} images: {example}, the images are "
        f"called as {images[0]!r:.80}; list the files by these names"
    )


def _by_key(
    entries: Sequence[tuple[str, Any]], key: Callable[[str], str]
) -> Mapping[str, Any] | None:
    """The values by key; None where two entries with one key differ."""
    values: dict[str, Any] = {}
    for name, value in entries:
        if not PurePosixPath(name).name:
            continue
        if values.setdefault(key(name), value) != value:
            return None
    return values


def _refuse_contradictions(entries: Sequence[tuple[str, Any]], place: str) -> None:
    values: dict[str, Any] = {}
    for name, value in entries:
        if values.setdefault(name, value) != value:
            raise DatasetError(
                f"{place} has {name!r:.80} twice, as {values[name]!r:.40} and {value!r:.40}: "
                "remove one of them"
            )


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/").removeprefix("./"))
