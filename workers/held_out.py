"""Held-out images in two halves, and pools of them and of training images, labels unseen."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.statistics.copies import NEAREST
from ..core.statistics.neighbour_lists import NeighbourLists, merge_lists, nearest_lists
from ..core.statistics.views import View
from .datasets import ImageError, shard_image_set
from .generated_images import sample_order
from .nearest_training import TrainingLists
from .resources import Resources


@dataclass(frozen=True)
class HeldOut:
    """Held-out images in two halves; ``half`` of each by its place in its set."""

    images: tuple[Tensor, Tensor]
    half: Mapping[int, int]
    errors: Mapping[int, str]


def held_out_halves(length: int, count: int, seed: int) -> tuple[list[int], list[int]]:
    """The places of the two halves of ``count`` images of a held-out set, chosen at random."""
    chosen = sample_order(length, seed)[:count].tolist()
    return chosen[: count // 2], chosen[count // 2 :]


def held_out_id(place: int) -> str:
    """What a held-out image is called, by its place in its set."""
    return f"held-out-{place:06d}"


def shard_held_out(settings: Mapping[str, Any], resources: Resources) -> HeldOut:
    """The held-out images that a shard's settings choose; read once."""
    return resources.kept(
        "held-out images", _key(settings), lambda: _held_out(settings, resources), most=1
    )


@dataclass(frozen=True)
class Pool:
    """The nearest of a pool of ``training`` images and, after them, ``held_out`` ones."""

    lists: NeighbourLists
    training: int
    held_out: int


def pool_lists(
    images: Tensor, view: View, training: TrainingLists, others: Sequence[Tensor]
) -> Pool:
    """The `NEAREST` of each image among training images, whose lists it has, and held-out ones.

    Which of equally near images comes first has nothing to do with its kind (`tie_keys`): else the
    labels "training" and "held out" could not be exchanged where images are equal.
    """
    parts, starts = [training.lists], [0]
    for references in others:
        start = training.images + sum(len(each) for each in others[: len(parts) - 1])
        asked, vectors = view.queries(images), view.references(references)
        starts.append(start)
        parts.append(nearest_lists(asked, vectors, NEAREST, start=start))
    held_out = sum(len(each) for each in others)
    return Pool(merge_lists(parts, starts, NEAREST), training.images, held_out)


def _key(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        settings["held_out"]["hash"],
        settings["held_out_length"],
        settings["held_out_images"],
        settings["held_out_seed"],
    )


def _held_out(settings: Mapping[str, Any], resources: Resources) -> HeldOut:
    images = shard_image_set(settings["held_out"], resources)
    _, length, count, seed = _key(settings)
    halves, half, errors = [], {}, {}
    for number, places in enumerate(held_out_halves(length, count, seed)):
        pixels = []
        for place in places:
            half[place] = number
            try:
                pixels.append(images.image(place)[0])
            except ImageError as error:
                errors[place] = str(error)
        halves.append(torch.from_numpy(np.stack(pixels)))
    return HeldOut((halves[0], halves[1]), half, errors)
