"""The nearest training images of some images, in many views, from blocks none of which stays."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.statistics.copies import NEAREST
from ..core.statistics.neighbour_lists import NeighbourLists, merge_lists, nearest_lists
from ..core.statistics.views import View
from .datasets import ImageSet, shard_image_set
from .reference_block import ReferenceBlock, Vectors, flat, read_block
from .resources import Resources

MOST_BYTES = 2**28
"""Features of training images that are kept take at most so much memory, or that of one block."""
_FLOAT32_BYTES = 4


class NoTrainingImageError(ValueError):
    """None of a set's training images can be used."""


@dataclass(frozen=True)
class NearestTraining:
    """The `NEAREST` training images in each view, by their place among the usable ones.

    ``index`` and ``labels`` are, of each of those, the place in the whole set and the class.
    """

    images: ImageSet
    lists: Mapping[str, NeighbourLists]
    index: np.ndarray
    labels: np.ndarray

    def of(self, view: View, rows: Sequence[int]) -> "TrainingLists":
        """The lists of some of the queries in one view, and how many images they are out of."""
        lists = self.lists[view.name]
        found = NeighbourLists(lists.index[rows], lists.distance[rows])
        return TrainingLists(found, len(self.index))


@dataclass(frozen=True)
class TrainingLists:
    """The nearest of ``images`` training images, of each query."""

    lists: NeighbourLists
    images: int


def nearest_training(
    queries: Tensor, views: Sequence[View], settings: Mapping[str, Any], resources: Resources
) -> NearestTraining:
    """The nearest training images of queries [n, C, H, W], which lie in memory.

    ``settings`` name the ``training`` set, its ``training_length`` and the ``block_images`` that
    are read at once.

    Raises:
        NoTrainingImageError: no training image can be used.
    """
    images = shard_image_set(settings["training"], resources)

    def seen(view: View, references: Tensor, before: int, width: int) -> Vectors:
        if view.features is None:
            return view.references(references)
        # A network takes longer than the search; pixels are read again sooner than kept.
        return resources.kept(
            "training features",
            (view.name, settings["training"]["hash"], before),
            partial(view.references, references),
            most=max(1, MOST_BYTES // (_FLOAT32_BYTES * settings["block_images"] * width)),
        )

    return nearest_in_blocks(queries, views, training_blocks(settings, resources), images, seen)


def _as_they_are(view: View, references: Tensor, _before: int, _width: int) -> Vectors:
    return view.references(references)


def nearest_in_blocks(
    queries: Tensor,
    views: Sequence[View],
    blocks: Iterable[tuple[int, ReferenceBlock]],
    images: ImageSet,
    seen: Callable[[View, Tensor, int, int], Vectors] = _as_they_are,
) -> NearestTraining:
    """The nearest of blocks of training ``images``, or of what stands for these, as queries do.

    With each block comes how many usable images there are before it. ``seen`` gives a block's
    vectors in a view, by that number and the length of the queries' vectors.

    Raises:
        NoTrainingImageError: no training image can be used.
    """
    lists: dict[str, NeighbourLists] = {}
    index, labels = [], []
    for before, block in blocks:
        references = torch.from_numpy(block.vectors.reshape(-1, *queries.shape[1:]))
        index.append(block.index)
        labels.append(block.labels)
        for view in views:
            asked = view.queries(queries)
            vectors = seen(view, references, before, asked.shape[1])
            found = nearest_lists(asked, vectors, NEAREST, start=before)
            known = lists.get(view.name)
            parts = [found] if known is None else [known, found]
            starts = [before] if known is None else [0, before]
            lists[view.name] = merge_lists(parts, starts, NEAREST)
    if not lists:
        raise NoTrainingImageError("no training image can be used")
    return NearestTraining(images, lists, np.concatenate(index), np.concatenate(labels))


def training_blocks(
    settings: Mapping[str, Any], resources: Resources
) -> Iterator[tuple[int, ReferenceBlock]]:
    """The blocks of usable training images, and how many there are before each."""
    images = shard_image_set(settings["training"], resources)
    width = int(np.prod(settings["training"]["image_shape"]))
    length, step = settings["training_length"], settings["block_images"]
    before = 0
    for start in range(0, length, step):
        stop = min(start + step, length)
        block = resources.kept(
            "training block",
            (settings["training"]["hash"], start, stop),
            partial(read_block, images, start, stop, flat, width),
            most=1,
        )
        if len(block.index):
            yield before, block
        before += len(block.index)
