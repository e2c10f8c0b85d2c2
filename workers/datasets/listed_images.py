"""Image files of a place, be it a folder, an archive or a bucket: found, classed and read alike."""

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .account import Account
from .array_file import read_array
from .fitting import require_size
from .image_set import DatasetError, Header, ImageError, IndexedImages, require_index
from .label_files import listed_in_json, read_table, require_modest
from .labels import Labels, labels_of, match
from .listing import ARRAYS, SUFFIXES, Listing, list_images
from .picture import read_header, read_picture
from .picture_rule import PictureRule

# What a file may hold besides its pixels (profiles, text, previews), and what a pixel's value may
# take: eight bytes in a .npy, less in a picture.
_BYTES_BESIDES = 16 * 2**20
_BYTES_PER_VALUE = 8


class Place(Protocol):
    """Where files are: they are known by relative names with slashes."""

    @property
    def address(self) -> str:
        """What messages call it."""
        ...

    def names(self) -> Iterable[str]:
        """The files, and the folders, whose names end in a slash, that it has.

        Raises DatasetError for a place that cannot be used.
        """
        ...

    def locate(self, name: str) -> str:
        """What messages call a file."""
        ...

    def origin(self, name: str) -> str:
        """What a file is in an image's source."""
        ...

    def size(self, name: str) -> int:
        """How many bytes a file has; ImageError or OSError if it cannot be told."""
        ...

    def version(self, name: str) -> str:
        """What tells a file's content from others without reading it."""
        ...

    def read(self, name: str) -> bytes:
        """A file's content; ImageError or OSError if it cannot be read."""
        ...

    def prepare(self, names: Iterable[str]) -> None:
        """Told that all of these are about to be read."""
        ...


@dataclass(frozen=True)
class LabelList:
    """A file of the user's that lists classes: its content, and the columns that count."""

    place: str
    content: bytes
    attribute: str | Sequence[str] | None


@dataclass(frozen=True)
class FoundImages:
    """The image files of a place in order, and the class of each, if they have classes."""

    files: tuple[str, ...]
    labels: Labels | None
    account: Account


class ListedImages(IndexedImages):
    """Image files of one shape, or resized to it; a misfit is an ImageError."""

    def __init__(
        self,
        name: str,
        split: str,
        place: Place,
        found: FoundImages,
        rule: PictureRule,
    ) -> None:
        """``name`` is what the set is opened by."""
        self.name = name
        self.split = split
        self.image_shape = rule.shape
        self.account = found.account
        self.num_classes = 0 if found.labels is None else found.labels.count
        self.class_names = None if found.labels is None else found.labels.names
        self.length: int | None = len(found.files)
        self._place = place
        self._files = found.files
        self._labels = None if found.labels is None else found.labels.of_image
        self._rule = rule

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet.

        Raises:
            StorageError: a bucket cannot be read.
        """
        require_index(index, self.length)
        file = self._files[index]
        place = self._place.locate(file)
        content = self._content(file)
        read = read_array if file.lower().endswith(ARRAYS) else read_picture
        image = read(content, place, self._rule)
        return image, None if self._labels is None else int(self._labels[index])

    def header(self, index: int) -> Header:
        """See ImageSet."""
        require_index(index, self.length)
        file = self._files[index]
        # The values of an array are not known until all are read.
        if file.lower().endswith(ARRAYS):
            return Header(undecided=True)
        return read_header(self._content(file), self._place.locate(file), self._rule)

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return self._labels

    def source(self, index: int) -> str:
        """See ImageSet."""
        require_index(index, self.length)
        origin = self._place.origin(self._files[index])
        return f"{self.name}:{origin}{self._rule.suffix}"

    def hash(self) -> str:
        """See ImageSet; the same for the same files in another kind of place.

        Raises:
            StorageError: a bucket cannot be read.
        """
        self._place.prepare(self._modest())
        digest = self._rule.digest()
        for file in self._files:
            try:
                content = self._content(file)
            except ImageError:
                # Such a file is one failed image of the audit; mending it changes the hash.
                content = b"unreadable"
            digest.update(f"{file} {len(content)} ".encode() + content)
        return self._with_labels(digest)

    def fingerprint(self) -> str:
        """See ImageSet; of the files' names and versions, on a disk so of none that keeps its size.

        Raises:
            StorageError: a bucket cannot be read.
        """
        digest = self._rule.digest()
        for file in self._files:
            digest.update(f"{file} {self._place.version(file)} ".encode())
        return self._with_labels(digest)

    def _with_labels(self, digest: "hashlib._Hash") -> str:
        if self._labels is not None:
            digest.update(f"{self.class_names}".encode() + self._labels.tobytes())
        return digest.hexdigest()

    def _modest(self) -> Iterator[str]:
        """The files that may be read."""
        for file in self._files:
            with suppress(ImageError):
                self._require_size(file)
                yield file

    def _content(self, file: str) -> bytes:
        self._require_size(file)
        try:
            return self._place.read(file)
        except OSError as error:
            raise ImageError(f"{self._place.locate(file)} cannot be read: {error}") from error

    def _require_size(self, file: str) -> None:
        place = self._place.locate(file)
        most = math.prod(self.image_shape) * _BYTES_PER_VALUE + _BYTES_BESIDES
        try:
            require_size(place, self._place.size(file), most, self._rule)
        except OSError as error:
            raise ImageError(f"{place} cannot be read: {error}") from error


def find_images(place: Place, listed: LabelList | None) -> FoundImages:
    """The images of a place, with their classes by ``listed``, a dataset.json, or their folders.

    Raises:
        DatasetError: there are none, or a list of classes cannot be used.
    """
    names = list(place.names())
    listing = list_images(names)
    if not listing.pictures:
        raise DatasetError(
            f"{place.address} holds no image files: expected {', '.join(SUFFIXES)}"
            + "".join(f"; {each}" for each in listing.left_out)
        )
    if listed is not None:
        labels, note = _by_list(listing, listed)
    elif listing.label_files:
        labels, note = _by_dataset_json(place, listing)
    else:
        labels, note = _by_folders(listing)
    unclassed = note if labels is None else None
    notes = (*listing.notes, *(() if labels is None else (note,)))
    account = Account(len(listing.pictures), listing.left_out, notes, unclassed)
    return FoundImages(listing.pictures, labels, account)


def _by_folders(listing: Listing) -> tuple[Labels | None, str]:
    folders = listing.folders
    if folders.unclassed is not None:
        return None, folders.unclassed
    of_image = np.array(folders.of_picture, dtype=np.int64)
    return Labels(of_image, folders.names), "classes by folder"


def _by_list(listing: Listing, listed: LabelList) -> tuple[Labels | None, str]:
    place, images = listed.place, listing.pictures
    require_modest(place, len(listed.content), len(images))
    values: list[tuple[str, Any]] | None
    if place.lower().endswith(".json"):
        if listed.attribute is not None:
            raise DatasetError(
                f"{place}: attribute names columns of a table, but a JSON file lists one class for "
                "each file; remove attribute, or give labels: a CSV or text file with columns"
            )
        values = listed_in_json(listed.content, place, len(images))
    else:
        table, attribute = read_table(listed.content, place), listed.attribute
        if attribute is None or isinstance(attribute, str):
            values = table.column(attribute, place)
        else:
            found, told = _labelled(table.joint(attribute, place), images, place)
            return found and replace(found, least=2 ** len(attribute)), told
    if values is None:
        return None, f"{place} says that there are no classes"
    return _labelled(values, images, place)


def _by_dataset_json(place: Place, listing: Listing) -> tuple[Labels | None, str]:
    """Each file lists the images beside and below it."""
    images, values = listing.pictures, []
    for file in listing.label_files:
        where = place.locate(file)
        content = _modest(place, file, len(images))
        listed = listed_in_json(content, where, len(images))
        folder = file.rpartition("/")[0]
        above = f"{folder}/" if folder else ""
        values += [(f"{above}{name}", label) for name, label in listed or ()]
    where = ", ".join(place.locate(file) for file in listing.label_files[:2])
    if not values:
        return None, f"{where} says that there are no classes"
    return _labelled(values, images, where)


def _modest(place: Place, file: str, images: int) -> bytes:
    where = place.locate(file)
    try:
        require_modest(where, place.size(file), images)
        return place.read(file)
    except (OSError, ImageError) as error:
        raise DatasetError(f"{where} cannot be read: {error}") from error


def _labelled(
    values: list[tuple[str, Any]], images: tuple[str, ...], where: str
) -> tuple[Labels | None, str]:
    matched = match(values, images, where)
    missing = [name for name, value in zip(images, matched.values, strict=True) if value is None]
    given = [value for value in matched.values if value is not None]
    if not given:
        return None, f"{where} has no class for any image"
    labels = labels_of(given, where)
    if missing:
        return None, (
            f"{where} has no class for {len(missing):,} of the {len(images):,} images, such as "
            f"{missing[0]}"
        )
    unused = f", which also lists {matched.unused:,} that are not there" if matched.unused else ""
    return labels, f"classes by {where}{unused}"
