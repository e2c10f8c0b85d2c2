"""Some images of a set: those of some of its classes, or as many of each."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .image_set import DatasetError, Header, ImageSet, IndexedImages, Shape


def selected_digest(digest: str, classes: Sequence[int]) -> str:
    """A set's hash or fingerprint, with the classes that are left of it."""
    return hashlib.sha256(f"{digest} only {json.dumps(list(classes))}".encode()).hexdigest()


class _SomeImages(IndexedImages):
    """The images of a labelled set at some of its places, in the set's order."""

    def __init__(self, images: ImageSet, places: NDArray[np.int64]) -> None:
        self.name = images.name
        self.split = images.split
        self.image_shape: Shape = images.image_shape
        self.num_classes = images.num_classes
        self.class_names = images.class_names
        self.account = images.account
        self._images = images
        self._places = places
        self._labels: NDArray[np.int64] = _labels(images)[places]
        self.length: int = len(places)

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return self._labels

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        return self._images.image(int(self._places[index]))

    def header(self, index: int) -> Header | None:
        """See ImageSet."""
        return self._images.header(int(self._places[index]))

    def source(self, index: int) -> str:
        """See ImageSet."""
        return self._images.source(int(self._places[index]))


class ImagesOfClasses(_SomeImages):
    """The images of a set whose labels are among ``classes``, in the set's order."""

    def __init__(self, images: ImageSet, classes: Sequence[int]) -> None:
        """Raises DatasetError for a set without labels, for nothing says which images these are."""
        self._classes = tuple(classes)
        super().__init__(images, np.flatnonzero(np.isin(_labels(images), self._classes)))

    def hash(self) -> str:
        """See ImageSet."""
        return selected_digest(self._images.hash(), self._classes)

    def fingerprint(self) -> str:
        """See ImageSet."""
        return selected_digest(self._images.fingerprint(), self._classes)


class BalancedImages(_SomeImages):
    """As many images of each class, drawn at random without replacement, in the set's order."""

    def __init__(self, images: ImageSet, each: int | None, seed: int) -> None:
        """``each`` is how many; None for as many as the rarest class has.

        Raises:
            DatasetError: the set has no labels, or too few images of a class.
        """
        labels = _labels(images)
        names, counts = np.unique(labels, return_counts=True)
        count = int(counts.min()) if each is None else each
        if count > counts.min():
            rarest = int(names[counts.argmin()])
            called = rarest if images.class_names is None else images.class_names[rarest]
            raise DatasetError(
                f"balance: {count:,} images of each class, but class {called} has "
                f"{counts.min():,}; give at most that many, or balance: fewest"
            )
        self._balance = f"balanced {count} {seed}"
        rng = np.random.default_rng(seed)
        chosen = [
            rng.choice(np.flatnonzero(labels == name), count, replace=False) for name in names
        ]
        super().__init__(images, np.sort(np.concatenate(chosen)))

    def hash(self) -> str:
        """See ImageSet."""
        return self._digest(self._images.hash())

    def fingerprint(self) -> str:
        """See ImageSet."""
        return self._digest(self._images.fingerprint())

    def _digest(self, digest: str) -> str:
        return hashlib.sha256(f"{digest} {self._balance}".encode()).hexdigest()


def _labels(images: ImageSet) -> NDArray[np.int64]:
    labels = images.labels()
    if labels is None or not len(labels):
        raise DatasetError(f"image set '{images.name}' has no classes to choose from")
    return labels
