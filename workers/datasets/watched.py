"""An image set that knows a missing disk from a broken image."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from .image_set import Header, ImageError, ImageSet, file_error


class WatchedImages:
    """An image set of which all that there is was there when the run was planned."""

    def __init__(self, images: ImageSet, require_as_planned: Callable[[], object]) -> None:
        """``require_as_planned`` raises where the whole set is not what it was, or is gone."""
        self.name = images.name
        self.split = images.split
        self.num_classes = images.num_classes
        self.class_names = images.class_names
        self.account = images.account
        self.image_shape = images.image_shape
        self.length = images.length
        self._images = images
        self._require_as_planned = require_as_planned

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return self._images.labels()

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet; what ``require_as_planned`` raises, where an image cannot be read."""
        with self._watched():
            return self._images.image(index)

    def header(self, index: int) -> Header | None:
        """See ImageSet; as :meth:`image`."""
        with self._watched():
            return self._images.header(index)

    def source(self, index: int) -> str:
        """See ImageSet."""
        return self._images.source(index)

    def hash(self) -> str:
        """See ImageSet."""
        return self._images.hash()

    def fingerprint(self) -> str:
        """See ImageSet."""
        return self._images.fingerprint()

    def arrays(
        self, indices: Sequence[int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See ImageSet; as :meth:`image`."""
        with self._watched():
            return self._images.arrays(indices)

    @contextmanager
    def _watched(self) -> Iterator[None]:
        try:
            yield
        except ImageError as error:
            # What the system refuses may be one file's fault. Then the others are as they were.
            if file_error(error) is not None:
                self._require_as_planned()
            raise
