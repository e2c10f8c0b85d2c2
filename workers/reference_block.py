"""A block of a reference set: so many of its images in a row, as vectors in memory."""

import itertools
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .datasets import ImageError, ImageSet

Vectors = npt.NDArray[np.float32]
# Images [N, C, H, W] in [0, 1] to one vector each [N, D].
Describe = Callable[[npt.NDArray[np.float32]], Vectors]

_READ_TOGETHER = 64

logger = logging.getLogger(__name__)


def flat(images: npt.NDArray[np.float32]) -> Vectors:
    """Each image's own pixels as its vector."""
    return images.reshape(len(images), -1)


@dataclass(frozen=True)
class ReferenceBlock:
    """The usable images of a block: vectors [N, D], labels [N] (-1 for none), where they are from.

    ``index`` [N] is each image's place in the whole set, ascending.
    """

    vectors: Vectors
    labels: npt.NDArray[np.int64]
    index: npt.NDArray[np.int64]
    sources: list[str]


def read_block(
    images: ImageSet, start: int, stop: int, describe: Describe, width: int
) -> ReferenceBlock:
    """Images ``start`` to ``stop`` of a set, ``describe`` making vectors of ``width`` from them.

    Only the vectors are held, not the images. Those that cannot be used are left out and logged.
    """
    vectors = np.empty((stop - start, width), np.float32)
    labels: list[int] = []
    index: list[int] = []
    for batch in _batches(_usable(images, start, stop)):
        described = describe(np.stack([image for _, image, _ in batch]))
        vectors[len(index) : len(index) + len(batch)] = described
        index += [position for position, _, _ in batch]
        labels += [-1 if label is None else label for _, _, label in batch]
    return ReferenceBlock(
        vectors[: len(index)],
        np.array(labels, np.int64),
        np.array(index, np.int64),
        [images.source(position) for position in index],
    )


_Usable = tuple[int, npt.NDArray[np.float32], int | None]


def _usable(images: ImageSet, start: int, stop: int) -> Iterator[_Usable]:
    for position in range(start, stop):
        try:
            image, label = images.image(position)
        except ImageError as error:
            logger.warning("left out of the reference images: %s", error)
        else:
            yield position, image, label


def _batches(usable: Iterator[_Usable]) -> Iterator[list[_Usable]]:
    while batch := list(itertools.islice(usable, _READ_TOGETHER)):
        yield batch
