"""Classes put together from several image sets, one each: as LSUN's scenes, an lmdb each."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .account import Account
from .image_set import DatasetError, Header, ImageSet, IndexedImages, Shape, require_index


class SourceImages(IndexedImages):
    """The images of several sets one after the other; which one is an image's class."""

    name = "sources"
    split = ""

    def __init__(self, parts: Mapping[str, ImageSet]) -> None:
        """``parts`` are the sets by their class's name; classes that they have count for nothing.

        Raises:
            DatasetError: a set without end or without images, or images of different shapes.
        """
        first = next(iter(parts.values()))
        lengths = []
        for name, part in parts.items():
            if not part.length:
                what = "is endless" if part.length is None else "has no images"
                raise DatasetError(f"sources.{name}: {part.name} {what}; name another set")
            if part.image_shape != first.image_shape:
                raise DatasetError(
                    f"sources.{name}: images of {list(part.image_shape)}, but those before are "
                    f"{list(first.image_shape)}; add resize: lanczos beside sources"
                )
            lengths.append(part.length)
        self.image_shape: Shape = first.image_shape
        self.class_names: tuple[str, ...] | None = tuple(parts)
        self.num_classes = len(parts)
        self.length: int = sum(lengths)
        self.account = _account(parts)
        self._parts = list(parts.values())
        self._ends = np.cumsum(lengths)
        self._labels = np.repeat(np.arange(len(parts), dtype=np.int64), lengths)

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return self._labels

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        part, place = self._at(index)
        return part.image(place)[0], int(self._labels[index])

    def header(self, index: int) -> Header | None:
        """See ImageSet."""
        part, place = self._at(index)
        return part.header(place)

    def source(self, index: int) -> str:
        """See ImageSet."""
        part, place = self._at(index)
        return part.source(place)

    def hash(self) -> str:
        """See ImageSet."""
        return self._digest([part.hash() for part in self._parts])

    def fingerprint(self) -> str:
        """See ImageSet."""
        return self._digest([part.fingerprint() for part in self._parts])

    def _at(self, index: int) -> tuple[ImageSet, int]:
        require_index(index, self.length)
        part = int(np.searchsorted(self._ends, index, side="right"))
        start = int(self._ends[part - 1]) if part else 0
        return self._parts[part], index - start

    def _digest(self, digests: list[str]) -> str:
        return hashlib.sha256(repr((self.class_names, digests)).encode()).hexdigest()


def _account(parts: Mapping[str, ImageSet]) -> Account | None:
    """What was read of all; a set that lies in memory has nothing to tell."""
    known = {name: part.account for name, part in parts.items() if part.account is not None}
    if not known:
        return None
    return Account(
        sum(part.length or 0 for part in parts.values()),
        tuple(
            replace(left, reason=f"{name}: {left.reason}")
            for name, each in known.items()
            for left in each.left_out
        ),
        ("a class a source", *(note for each in known.values() for note in each.notes)),
    )
