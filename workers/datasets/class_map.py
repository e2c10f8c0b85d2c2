"""Which of a generator's classes an image is of: looked up by name, never by position.

A set calls each of its classes by a name: its folder's, or the label in an archive as text. The map
from names to the generator's class numbers is stated by the user; or the names are whole numbers
and mean those; or there are exactly as many names as the generator has classes, and their sorted
order counts, if it is the same in both forms of accents. Nothing else is guessed.

A name is the same in both forms: macOS and archives made there have "é" as two characters.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from .image_set import MOST_CLASS, DatasetError, Header, ImageSet, IndexedImages, Shape
from .listing import folded

# By name, or one for every image.
Classes = dict[str, int] | int

_MOST_LISTED = 18
# A name of so many digits is no number that anything is counted by.
_LONGEST_NUMBER = 19


@dataclass(frozen=True)
class FoundClasses:
    """What a labelled set calls its classes.

    ``names`` has the name of each label that an image has; ``empty`` are names without an image;
    both as `class_name` has them. ``numbered`` sets have numbers for labels, and no other names.
    """

    names: Mapping[int, str]
    empty: tuple[str, ...]
    numbered: bool


def class_name(name: str) -> str:
    """A class's name with composed accents, by which two of them are compared."""
    return normalize("NFC", name)


def found_classes(images: ImageSet) -> FoundClasses | None:
    """The classes of a set; None where its images have none."""
    labels = images.labels()
    if labels is None:
        return None
    present = np.unique(labels).tolist()
    if images.class_names is None:
        return FoundClasses({label: str(label) for label in present}, (), numbered=True)
    names = [class_name(each) for each in images.class_names]
    empty = tuple(name for label, name in enumerate(names) if label not in present)
    return FoundClasses({label: names[label] for label in present}, empty, numbered=False)


def class_numbers(
    found: FoundClasses,
    counts: Sequence[int],
    stated: Mapping[str, int] | None = None,
    elsewhere: Mapping[str, int] | None = None,
) -> dict[str, int]:
    """The generator's class of each name that an image has.

    Args:
        found: the set's classes.
        counts: how many classes each class-conditional generator has.
        stated: the set's own map, which must have every name; it may have others.
        elsewhere: what other sets of the audit state; used where it has every name. Names of both
            are as `class_name` has them.

    Raises:
        DatasetError: the names have no class numbers; with the map to write.
    """
    names = sorted(found.names.values())
    if stated is not None:
        missing = [name for name in names if name not in stated]
        if missing:
            raise DatasetError(
                f"classes says nothing of {len(missing)} of the {len(names)} classes that the "
                f"images have; add\n{_block(missing)}"
            )
        return {name: stated[name] for name in names}
    if all(is_whole(name) for name in names):
        numbers = {name: whole_number(name) for name in names}
        if len(set(numbers.values())) < len(numbers):
            raise DatasetError(
                f"two class names mean the same number; say which classes they are:\n"
                f"{_block(names)}"
            )
        return numbers
    if elsewhere is not None and all(name in elsewhere for name in names):
        return {name: elsewhere[name] for name in names}
    alike = Counter(folded(name) for name in names)
    twins = [name for name in names if alike[folded(name)] > 1]
    if twins:
        raise DatasetError(
            f"the classes {' and '.join(map(repr, twins[:2]))} differ only in upper and lower "
            "case, or in the form of accents: give them one name, or say which they are:\n"
            f"{_block(names)}"
        )
    if set(counts) == {len(names)} and not found.empty:
        if names != sorted(names, key=partial(normalize, "NFD")):
            raise DatasetError(
                "the order of the class names depends on the form in which their accents are "
                f"stored, so it does not say which they are; say it:\n{_block(names)}"
            )
        return {name: position for position, name in enumerate(names)}
    raise DatasetError(
        f"{_classes(len(names))} found by name{_empty_named(found.empty)}, expected "
        f"{_counted(counts)}: the order of the names says nothing about which they are. Add to "
        f"this entry, with the generator's class numbers,\n{_block(names)}"
    )


def require_within(numbers: Mapping[str, int], count: int, generator: str) -> None:
    """Raises DatasetError for a class number that the generator does not have."""
    beyond = {name: number for name, number in numbers.items() if number >= count}
    if beyond:
        name, number = max(beyond.items(), key=lambda item: item[1])
        what = f"class {number}" if name == str(number) else f"class {number} ({name!r})"
        from_one = ""
        if min(numbers.values()) > 0 and number == count:
            from_one = " (if they are numbered from 1, each is its number less 1)"
        raise DatasetError(
            f"{_classes(len(numbers))} found; {what} cannot be generated: {generator} has {count} "
            f"classes, 0 to {count - 1}. Leave out the images of other classes, or say which of "
            f"the generator's each class of the images is{from_one}:\n{_block(sorted(numbers))}"
        )


def is_whole(name: str) -> bool:
    """Whether a class name is a whole number of at most 18 digits, such as ``7`` or ``007``."""
    return name.isascii() and name.isdigit() and len(name) < _LONGEST_NUMBER


def whole_number(name: str) -> int:
    """The number of a class that is called by it.

    Raises:
        DatasetError: no table could hold it.
    """
    number = int(name)
    if number > MOST_CLASS:
        raise DatasetError(f"class {name} is too large: class numbers are at most {MOST_CLASS:,}")
    return number


def classed_digest(digest: str, classes: Classes) -> str:
    """A set's hash or fingerprint, with what its classes are taken for."""
    return hashlib.sha256(f"{digest} {json.dumps(classes, sort_keys=True)}".encode()).hexdigest()


class ClassedImages(IndexedImages):
    """A set whose labels are the generator's classes: by a map of names, or one for all images."""

    def __init__(self, images: ImageSet, classes: Classes) -> None:
        """``classes`` has every name that an image's class has, as `class_name` has it."""
        self.name = images.name
        self.split = images.split
        self.image_shape: Shape = images.image_shape
        self.length = images.length
        self.account = images.account
        self._images = images
        self._classes = classes
        numbers = [classes] if isinstance(classes, int) else list(classes.values())
        self.num_classes = max(numbers) + 1

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        if self.length is None:
            return None
        own = self._images.labels()
        if own is None or isinstance(self._classes, int):
            return np.array([self._number(None)] * self.length, dtype=np.int64)
        return np.array([self._number(label) for label in own.tolist()], dtype=np.int64)

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        pixels, label = self._images.image(index)
        return pixels, self._number(label)

    def header(self, index: int) -> Header | None:
        """See ImageSet."""
        return self._images.header(index)

    def source(self, index: int) -> str:
        """See ImageSet."""
        return self._images.source(index)

    def hash(self) -> str:
        """See ImageSet."""
        return classed_digest(self._images.hash(), self._classes)

    def fingerprint(self) -> str:
        """See ImageSet."""
        return classed_digest(self._images.fingerprint(), self._classes)

    def _number(self, label: int | None) -> int:
        if isinstance(self._classes, int):
            return self._classes
        if label is None:
            raise DatasetError(f"image set '{self.name}' has no classes that a map could name")
        names = self._images.class_names
        return self._classes[str(label) if names is None else class_name(names[label])]


def _classes(count: int) -> str:
    return "1 class" if count == 1 else f"{count} classes"


def _counted(counts: Sequence[int]) -> str:
    return " and ".join(str(count) for count in sorted(set(counts))) + " (the generator's)"


def _empty_named(empty: tuple[str, ...]) -> str:
    if not empty:
        return ""
    return f" (and {len(empty)} without an image, such as {empty[0]!r})"


def _block(names: Sequence[str]) -> str:
    """What to paste into a spec; names that are numbers are in the order of these."""
    if all(is_whole(name) for name in names):
        names = sorted(names, key=lambda name: (int(name), name))
    lines = [f"  {json.dumps(name, ensure_ascii=False)}: ?" for name in names[:_MOST_LISTED]]
    if len(names) > _MOST_LISTED:
        more = len(names) - _MOST_LISTED
        lines.append(f"  # and {more} more; a file can hold them: classes: FILE")
    return "\n".join(["classes:", *lines])
