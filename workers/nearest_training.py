"""The nearest training images of some images, in many views, from blocks none of which stays."""

from collections.abc import Iterator, Mapping, Sequence
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
from .reference_block import ReferenceBlock, flat, read_block
from .resources import Resources

# Features of training images take at most so much memory, or that of one block.
_MOST_BYTES = 2**28
_FLOAT32_BYTES = 4


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
        ValueError: no training image can be used.
    """
    lists: dict[str, NeighbourLists] = {}
    index, labels = [], []
    for before, block in training_blocks(settings, resources):
        references = torch.from_numpy(block.vectors.reshape(-1, *queries.shape[1:]))
        index.append(block.index)
        labels.append(block.labels)
        for view in views:
            asked = view.queries(queries)
            if view.features is None:
                vectors = view.references(references)
            else:
                # A network takes longer than the search; pixels are read again sooner than kept.
                vectors = resources.kept(
                    "training features",
                    (view.name, settings["training"]["hash"], before),
                    partial(view.references, references),
                    most=_blocks_kept(settings["block_images"], asked.shape[1]),
                )
            found = nearest_lists(asked, vectors, NEAREST)
            known = lists.get(view.name)
            parts = [found] if known is None else [known, found]
            starts = [before] if known is None else [0, before]
            lists[view.name] = merge_lists(parts, starts, NEAREST)
    if not lists:
        raise ValueError("no training image can be used")
    images = shard_image_set(settings["training"], resources)
    return NearestTraining(images, lists, np.concatenate(index), np.concatenate(labels))


def _blocks_kept(block_images: int, width: int) -> int:
    return max(1, _MOST_BYTES // (_FLOAT32_BYTES * block_images * width))


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
