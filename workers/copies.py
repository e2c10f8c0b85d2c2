"""The ``copies`` stage: the nearest training images of generated and of held-out images."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..core.culprits.copies import copying_culprits
from ..core.statistics.copies import nearness
from ..core.statistics.neighbour_lists import nearest_lists
from ..core.statistics.views import View, nearest_view, pixel_views, view_nearness
from .datasets import ImageError, shard_image_set
from .generated_images import draws_images, sample_order, shard_generated_images
from .held_out import HeldOut, pool_lists, shard_held_out
from .nearest_training import NearestTraining, nearest_training, training_blocks
from .outcome import Failure, Outcome, Row
from .reference_block import flat
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item
from .usable_images import UsableImages, usable_generated, usable_real

COMPUTATION = Computation("offmanifold.workers.copies:compute", "copies", 2, draws_images)

# index is an image's number among the generator's or a culprit's, or its place in the held-out set,
# whose half is 0 or 1 (null for other images). Lists have a value for each of pixel_views():
# nearness, and the nearest training image with its distance. placebo_nearness is that among
# held-out images of half 0, null for these themselves. training_label is the class of the nearest
# training image in pixels, own_distance how far that is from its own nearest. The pool holds the
# usable training images and after them held-out ones: all for an image that is not held out, half 0
# for one of half 1. pixels and nearest_pixels are those of an image and its nearest, of a shard's
# nearest images only.
COPIES_TABLE = TableSchema(
    "copies",
    1,
    (
        ("index", pa.int64()),
        ("half", pa.int32()),
        ("nearness", pa.list_(pa.float64())),
        ("nearest_index", pa.list_(pa.int64())),
        ("distance", pa.list_(pa.float64())),
        ("placebo_nearness", pa.list_(pa.float64())),
        ("training_label", pa.int32()),
        ("own_distance", pa.float64()),
        ("pool_training", pa.int64()),
        ("pool_held_out", pa.int64()),
        ("pool_place", pa.int64()),
        ("pool_nearness", pa.float64()),
        ("pixels", pa.list_(pa.float32())),
        ("nearest_pixels", pa.list_(pa.float32())),
    ),
    always=("own_distance",),
    lists=(
        ListColumn("nearness", (len(pixel_views()),)),
        ListColumn("nearest_index", ("nearness",)),
        ListColumn("distance", ("nearness",)),
        ListColumn("placebo_nearness", ("nearness",), optional=True),
        ListColumn("pixels", ("image:values",), optional=True),
        ListColumn("nearest_pixels", ("image:values",), optional=True),
    ),
)

SHOWN = 10
"""Of how many images of a shard, the nearest ones, pixels are kept."""


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``copies`` table: a generator's images, held-out ones, or planted copies.

    The training images come by block, and none of them stays.
    """
    held = shard_held_out(settings, resources)
    asked = images_asked(items, settings, resources)
    there = [items[place] for place in asked.places]
    return asked.in_place(_rows(asked.images, there, settings, held, resources))


def images_asked(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> UsableImages:
    """The images of the items that can be used, in memory."""
    numbers = [_index(item) for item in items]
    if "planted" in settings:
        return planted_images(numbers, settings, resources)
    if "generated" in settings:
        generator = shard_generated_images(settings["generated"], resources)
        draws = [(item.condition, number) for item, number in zip(items, numbers, strict=True)]
        made = usable_generated(generator, draws)
        return UsableImages(made.images.cpu().float(), made.failures)
    images, shape = shard_image_set(settings["held_out"], resources), settings["held_out"]
    return usable_real(images, numbers, shape["image_shape"], torch.device("cpu"))


def planted_images(
    numbers: Sequence[int], settings: Mapping[str, Any], resources: Resources
) -> UsableImages:
    """Copies of training images chosen at random, as the culprit ``planted`` makes them."""
    seed = settings["planted_seed"]
    originals = _originals(settings["planted_images"], seed, settings, resources)
    labels = torch.zeros(len(originals), dtype=torch.int64)
    (culprit,) = (
        each for each in copying_culprits(originals, labels) if each.name == settings["planted"]
    )
    made = culprit.make(originals, labels, seed)[0]
    lacking = Failure(f"only {len(made)} training images can be used")
    return UsableImages(
        made[[number for number in numbers if number < len(made)]],
        {place: lacking for place, number in enumerate(numbers) if number >= len(made)},
    )


def _originals(count: int, seed: int, settings: Mapping[str, Any], resources: Resources) -> Tensor:
    """So many training images at random, or all; those that cannot be used have others' place."""
    images = shard_image_set(settings["training"], resources)
    found: list[np.ndarray] = []
    for place in sample_order(settings["training_length"], seed).tolist():
        if len(found) == count:
            break
        # What cannot be used is told of where the training images are read by block.
        with contextlib.suppress(ImageError):
            found.append(images.image(place)[0])
    if not found:
        raise ValueError("no training image can be used")
    return torch.from_numpy(np.stack(found))


def _index(item: Item) -> int:
    if item.index is None:
        raise ValueError(f"item {item.image_id} has no index")
    return item.index


def _rows(
    images: Tensor,
    items: Sequence[Item],
    settings: Mapping[str, Any],
    held: HeldOut,
    resources: Resources,
) -> list[Row]:
    if not items:
        return []
    views = pixel_views()
    training = nearest_training(images, views, settings, resources)
    nearest = {view.name: nearness(training.lists[view.name].distance) for view in views}
    least, best = nearest_view(nearest)
    pixels = views[0].name
    own = _own_distances(training, training.lists[pixels].index[:, 0], settings, resources)
    halves = held_halves(items, settings, held)
    placebo = placebo_nearness(images, views, held, halves)
    pooled = pools(images, views[0], training, held, halves)
    shown = set(np.argsort(least, kind="stable")[:SHOWN].tolist())
    rows = []
    for row, item in enumerate(items):
        places = {name: int(lists.index[row, 0]) for name, lists in training.lists.items()}
        label = int(training.labels[places[pixels]])
        made: Row = {
            "index": _index(item),
            "half": halves[row],
            "nearness": [float(nearest[view.name][row]) for view in views],
            "nearest_index": [int(training.index[places[view.name]]) for view in views],
            "distance": [float(training.lists[view.name].distance[row, 0]) for view in views],
            "placebo_nearness": placebo[row],
            "training_label": None if label < 0 else label,
            "own_distance": float(own[row]),
            **pooled[row],
        }
        if row in shown:
            place = int(training.index[places[best[row]]])
            made["pixels"] = images[row].flatten().tolist()
            made["nearest_pixels"] = training.images.image(place)[0].ravel().tolist()
        rows.append(made)
    return rows


def held_halves(
    items: Sequence[Item], settings: Mapping[str, Any], held: HeldOut
) -> list[int | None]:
    """Which half of the held-out images each item is of; None for others."""
    is_held = "planted" not in settings and "generated" not in settings
    return [held.half[_index(item)] if is_held else None for item in items]


def _own_distances(
    training: NearestTraining, places: np.ndarray, settings: Mapping[str, Any], resources: Resources
) -> np.ndarray:
    """How far each of these training images is from its own nearest other one, in pixels."""
    found, which = np.unique(places, return_inverse=True)
    queries = flat(np.stack([training.images.image(int(training.index[i]))[0] for i in found]))
    least = np.full(len(found), np.inf)
    for before, block in training_blocks(settings, resources):
        own = found - before
        exclude = np.where((own >= 0) & (own < len(block.index)), own, -1)
        least = np.minimum(least, nearest_lists(queries, block.vectors, 1, exclude).distance[:, 0])
    return np.asarray(least[which])


def placebo_nearness(
    images: Tensor, views: Sequence[View], held: HeldOut, halves: Sequence[int | None]
) -> list[list[float] | None]:
    """Nearness among held-out images of half 0, in each view; None for these themselves."""
    asked = [row for row, half in enumerate(halves) if half != 0]
    found: list[list[float] | None] = [None] * len(halves)
    if not asked:
        return found
    values = view_nearness(images[asked], held.images[0], views)
    for position, row in enumerate(asked):
        found[row] = [float(values[view.name][position]) for view in views]
    return found


def pools(
    images: Tensor,
    view: View,
    training: NearestTraining,
    held: HeldOut,
    halves: Sequence[int | None],
) -> list[Row]:
    """The nearest of each image in a pool of training and held-out images, labels unseen."""
    rows: list[Row] = [{} for _ in halves]
    for half, others in ((None, held.images), (1, held.images[:1])):
        asked = [row for row, own in enumerate(halves) if own == half]
        if not asked:
            continue
        pool = pool_lists(images[asked], view, training.of(view, asked), others)
        near = nearness(pool.lists.distance)
        for position, row in enumerate(asked):
            rows[row] = {
                "pool_training": pool.training,
                "pool_held_out": pool.held_out,
                "pool_place": int(pool.lists.index[position, 0]),
                "pool_nearness": float(near[position]),
            }
    return rows
