"""Those images of a set that are of some of its classes."""

import hashlib
import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .image_set import DatasetError, Header, ImageSet, IndexedImages, Shape


def selected_digest(digest: str, classes: Sequence[int]) -> str:
    """A set's hash or fingerprint, with the classes that are left of it."""
    return hashlib.sha256(f"{digest} only {json.dumps(list(classes))}".encode()).hexdigest()


class ImagesOfClasses(IndexedImages):
    """The images of a set whose labels are among ``classes``, in the set's order."""

    def __init__(self, images: ImageSet, classes: Sequence[int]) -> None:
        """Raises DatasetError for a set without labels, for nothing says which images these are."""
        labels = images.labels()
        if labels is None:
            raise DatasetError(f"image set '{images.name}' has no classes to choose from")
        self.name = images.name
        self.split = images.split
        self.image_shape: Shape = images.image_shape
        self.num_classes = images.num_classes
        self.class_names = images.class_names
        self.account = images.account
        self._images = images
        self._classes = tuple(classes)
        self._places = np.flatnonzero(np.isin(labels, self._classes))
        self._labels: NDArray[np.int64] = labels[self._places]
        self.length: int = len(self._places)

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

    def hash(self) -> str:
        """See ImageSet."""
        return selected_digest(self._images.hash(), self._classes)

    def fingerprint(self) -> str:
        """See ImageSet."""
        return selected_digest(self._images.fingerprint(), self._classes)
