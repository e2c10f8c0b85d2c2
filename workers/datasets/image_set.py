"""What every image set offers, the errors it raises, and the set that lies in memory."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from .account import Account

Shape = tuple[int, int, int]

MOST_CLASS = 2**31 - 1
"""The largest number of a class that a run's tables can hold."""

_HASHED_TOGETHER = 4096


class DatasetError(ValueError):
    """A whole image set cannot be opened: says what was looked for and how to get it."""


class ImageError(ValueError):
    """One image of a set cannot be used, the others may: names the file and what is wrong."""


class UnfitError(ImageError):
    """One image is whole, but has another size, mode or range than the audit needs."""


@dataclass(frozen=True)
class Header:
    """What a picture is known by before it is decoded.

    Attributes:
        kinds: what is done to it that not every picture needs, for an account.
        undecided: only its pixels tell whether it fits.
    """

    kinds: tuple[str, ...] = ()
    undecided: bool = False


def file_error(error: BaseException | None) -> OSError | None:
    """The operating system's refusal from which an error came, if it did."""
    while error is not None:
        # Pillow's own refusals are an OSError without a number.
        if isinstance(error, OSError) and error.errno is not None:
            return error
        error = error.__cause__
    return None


class ImageSet(Protocol):
    """Images with class labels, opened for reading; items are independent of each other."""

    @property
    def name(self) -> str:
        """The name that it is opened by."""
        ...

    @property
    def split(self) -> str:
        """Which part of the set this is, such as ``train``; empty where there is only one."""
        ...

    @property
    def num_classes(self) -> int:
        """How many classes the labels count, 0 for an unlabelled set."""
        ...

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """What the set calls its classes, by label; None where labels are numbers, or missing."""
        ...

    @property
    def account(self) -> Account | None:
        """What was read of the set's files, and what was left out; None where there are none."""
        ...

    @property
    def image_shape(self) -> Shape:
        """(channels, height, width) of every image."""
        ...

    @property
    def length(self) -> int | None:
        """How many images there are; None where they are drawn without end."""
        ...

    def labels(self) -> NDArray[np.int64] | None:
        """The class of every image [N], read without its pixels; None where there are none."""
        ...

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """Image ``index`` as float32 [C, H, W] in [0, 1], and its class.

        Raises ImageError if this one image cannot be used, IndexError past the end.
        """
        ...

    def header(self, index: int) -> Header | None:
        """What is known of image ``index`` without its pixels; None where they cost no more.

        Raises ImageError as ``image`` does, as far as the header shows it.
        """
        ...

    def source(self, index: int) -> str:
        """What image ``index`` is, such as ``digits:train:17``: equal only for the same image."""
        ...

    def hash(self) -> str:
        """SHA-256 in hex of everything the images and labels depend on."""
        ...

    def fingerprint(self) -> str:
        """SHA-256 in hex of what the set is known by without reading all of it.

        Equal sets have equal ones. Another order, another number and mostly another content of
        the images have another.
        """
        ...

    def arrays(
        self, indices: Sequence[int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Images [N, C, H, W] and labels [N] (-1 where unlabelled), by default of all.

        Raises ImageError at the first image that cannot be used, ValueError if all of an endless
        set are asked for.
        """
        ...


class IndexedImages:
    """The part of ImageSet that follows from ``image``, ``length`` and ``hash``."""

    length: int | None
    class_names: tuple[str, ...] | None = None
    account: Account | None = None

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        raise NotImplementedError

    def header(self, index: int) -> Header | None:
        """See ImageSet."""
        require_index(index, self.length)
        return None

    def hash(self) -> str:
        """See ImageSet."""
        raise NotImplementedError

    def fingerprint(self) -> str:
        """See ImageSet; the hash itself, where that costs little."""
        return self.hash()

    def arrays(
        self, indices: Sequence[int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See ImageSet."""
        if indices is None:
            if self.length is None:
                raise ValueError("this image set is endless: name the indices to read")
            indices = range(self.length)
        pairs = [self.image(index) for index in indices]
        images = np.stack([image for image, _ in pairs])
        labels = np.array([-1 if label is None else label for _, label in pairs], dtype=np.int64)
        return images, labels


class ArrayImageSet(IndexedImages):
    """Images that lie in memory, all with one label each or all without."""

    def __init__(
        self,
        name: str,
        split: str,
        pixels: NDArray[np.uint8] | NDArray[np.float32],
        labels: NDArray[np.int64] | None,
        white: int = 255,
        path: Path | None = None,
        class_names: tuple[str, ...] | None = None,
        unclassed: str | None = None,
    ) -> None:
        """``pixels`` [N, C, H, W] go from 0 to ``white``; ``labels`` [N] count from 0.

        ``path`` tells apart sets that share a name; published ones are the same in every place.
        ``class_names`` has the name of each label, where they are not numbers; ``unclassed`` says
        why there are no labels.
        """
        self.name = name
        self.split = split
        self.num_classes = 0 if labels is None else int(labels.max()) + 1
        self.class_names = class_names
        if path is not None:
            self.account = Account(len(pixels), unclassed=unclassed)
        self.image_shape: Shape = (pixels.shape[1], pixels.shape[2], pixels.shape[3])
        self.length: int | None = len(pixels)
        self._pixels = pixels
        self._labels = labels
        self._white = np.float32(white)
        self._origin = f"{name}:{split}" if path is None else f"{name}:{path.as_posix()}:{split}"

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return self._labels

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        require_index(index, self.length)
        label = None if self._labels is None else int(self._labels[index])
        return self._pixels[index].astype(np.float32) / self._white, label

    def source(self, index: int) -> str:
        """See ImageSet."""
        require_index(index, self.length)
        return f"{self._origin}:{index}"

    def hash(self) -> str:
        """See ImageSet."""
        digest = hashlib.sha256(f"{self._pixels.shape} {self._white}".encode())
        # Piece by piece: an array in another order of axes is copied to be hashed.
        for start in range(0, len(self._pixels), _HASHED_TOGETHER):
            piece = self._pixels[start : start + _HASHED_TOGETHER]
            digest.update(np.ascontiguousarray(piece).data)
        digest.update(b"" if self._labels is None else self._labels.tobytes())
        digest.update(b"" if self.class_names is None else f"{self.class_names}".encode())
        return digest.hexdigest()

    def arrays(
        self, indices: Sequence[int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See ImageSet."""
        rows = slice(None) if indices is None else np.asarray(indices, dtype=np.int64)
        pixels = self._pixels[rows].astype(np.float32) / self._white
        if self._labels is None:
            return pixels, np.full(len(pixels), -1, dtype=np.int64)
        return pixels, self._labels[rows].copy()


def require_index(index: int, length: int | None) -> None:
    """Raises IndexError unless 0 <= index < length (any length where that is None)."""
    if index < 0 or (length is not None and index >= length):
        raise IndexError(f"image {index} of a set of {'endless' if length is None else length}")


def require_split(name: str, split: str, splits: Sequence[str]) -> None:
    """Raises DatasetError unless ``split`` is one of ``splits``."""
    if split not in splits:
        raise DatasetError(
            f"image set '{name}' has the splits {', '.join(splits)}; there is no split '{split}'"
        )


def require_shape(name: str, actual: Shape, wanted: Shape | None) -> None:
    """Raises DatasetError if images of ``wanted`` shape were asked for and these are others."""
    if wanted is not None and tuple(wanted) != actual:
        can_be_resized = actual[0] in (1, wanted[0])
        resize = "add resize: lanczos beside the dataset, or " if can_be_resized else ""
        raise DatasetError(
            f"image set '{name}' has images of shape {describe_shape(actual)}, but "
            f"{describe_shape(tuple(wanted))} is needed: {resize}choose a set that fits the "
            "generator"
        )


def describe_shape(shape: Sequence[int]) -> str:
    """A shape as people write it: 3x32x32 (channels, height, width)."""
    return "x".join(str(size) for size in shape)


def stratified_split(
    labels: NDArray[np.int64], test_count: int, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices of a train and a test part, in ascending order, with every class in proportion.

    Items are put in order of class, at random within it, and the test part takes them at equal
    distances, so that each class gives its share to within one item.
    """
    total = len(labels)
    order = np.lexsort((np.random.default_rng(seed).random(total), labels))
    picks = ((np.arange(test_count) + 0.5) * total / test_count).astype(np.int64)
    test = np.sort(order[picks])
    train = np.setdiff1d(np.arange(total), test)
    return train, test
