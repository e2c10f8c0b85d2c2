"""The ``latent_paths`` stage: what a generator makes along paths of its latent, and what is near.

A path goes from one latent of the prior to another along cos(t) z0 + sin(t) z1, t from 0 to pi/2,
so that each of its latents is a draw from N(0, I) too, and each image one as any other.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..core.samplers.noise import Stream, item_normals
from ..core.statistics.copies import NEAREST, nearness
from ..core.statistics.views import View, same
from .datasets import shard_image_set
from .generators import shard_generator
from .held_out import HeldOut, pool_lists, shard_held_out
from .nearest_training import NearestTraining, nearest_training
from .outcome import Failure, Outcome, Row
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item, item_seed
from .usable_images import UsableImages

COMPUTATION = Computation("offmanifold.workers.latent_paths:compute", "latent_paths", 2)

# Of a path: step[] is the distance of images that follow each other. pool_place[] and
# pool_distance[] are the NEAREST of the usable training and, after them, the held-out images: of
# the path's images, then of the means of two that follow each other, one after the other.
# nearest_index[] is the place of each image's nearest training image in its set. pixels[] and
# nearest_pixels[] are those of some of the images along the first paths, and of their nearest
# training images. Of a held-out image of half 1: its nearest in a pool of the training images and
# the held-out ones of half 0, and its nearness there.
LATENT_PATHS_TABLE = TableSchema(
    "latent_paths",
    1,
    (
        ("step", pa.list_(pa.float64())),
        ("nearest_index", pa.list_(pa.int64())),
        ("pool_training", pa.int64()),
        ("pool_held_out", pa.int64()),
        ("pool_place", pa.list_(pa.int64())),
        ("pool_distance", pa.list_(pa.float64())),
        ("pool_nearness", pa.float64()),
        ("pixels", pa.list_(pa.float32())),
        ("nearest_pixels", pa.list_(pa.float32())),
    ),
    lists=(
        ListColumn("step", ("setting:steps",), optional=True),
        ListColumn("nearest_index", (), optional=True),
        ListColumn("pool_place", (), optional=True),
        ListColumn("pool_distance", ("pool_place",), optional=True),
        ListColumn("pixels", (), optional=True),
        ListColumn("nearest_pixels", ("pixels",), optional=True),
    ),
)

SHOWN = 5
"""Of how many paths of each generator pixels are kept."""
SHOWN_ALONG = 9
"""And of how many images along each, spread evenly, the first and the last among them."""

_PIXELS = View("pixels", same)
_BROKEN_PATH = "an image along the path has values that are NaN or infinite"
_TOGETHER = 64
# Of the images of several paths, and between them.
_VALUES_TOGETHER = 2**24


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``latent_paths`` table: a generator's paths, or the held-out images of half 1."""
    held = shard_held_out(settings, resources)
    if "steps" not in settings:
        return _controls(items, settings, held, resources)
    points = (2 * settings["steps"] + 1) * math.prod(settings["training"]["image_shape"])
    together = max(1, _VALUES_TOGETHER // points)
    return [
        row
        for start in range(0, len(items), together)
        for row in _paths(items[start : start + together], settings, held, resources)
    ]


def _paths(
    items: Sequence[Item], settings: Mapping[str, Any], held: HeldOut, resources: Resources
) -> list[Outcome]:
    steps: int = settings["steps"]
    shape = settings["training"]["image_shape"]
    along = _along(items, settings, resources).reshape(len(items), steps + 1, *shape)
    finite = along.flatten(1).isfinite().all(dim=1)
    usable = UsableImages(
        along[finite].clamp(0, 1),
        {place: Failure(_BROKEN_PATH) for place in (~finite).nonzero().flatten().tolist()},
    )
    if not len(usable.images):
        return usable.in_place([])
    there = [items[place] for place in usable.places]
    return usable.in_place(_of_paths(there, usable.images, settings, held, resources))


def _of_paths(
    items: Sequence[Item],
    images: Tensor,
    settings: Mapping[str, Any],
    held: HeldOut,
    resources: Resources,
) -> list[Outcome]:
    """Rows of paths, of the images [paths, steps + 1, C, H, W] along each."""
    steps: int = settings["steps"]
    moved = (images[:, 1:] - images[:, :-1]).flatten(2).double()
    step = torch.linalg.vector_norm(moved, dim=2).numpy()
    halfway = (images[:, 1:] + images[:, :-1]) / 2
    queries = torch.cat([images, halfway], dim=1).flatten(0, 1)
    training = nearest_training(queries, [_PIXELS], settings, resources)
    pool = pool_lists(queries, _PIXELS, training.of(_PIXELS, range(len(queries))), held.images)
    points = 2 * steps + 1
    places, distances = (
        values.reshape(len(items), points * NEAREST)
        for values in (pool.lists.index, pool.lists.distance)
    )
    own = training.lists[_PIXELS.name].index[:, 0].reshape(len(items), points)[:, : steps + 1]
    nearest = training.index[own]
    rows: list[Outcome] = []
    for row, item in enumerate(items):
        made: Row = {
            "step": step[row],
            "nearest_index": nearest[row],
            "pool_training": pool.training,
            "pool_held_out": pool.held_out,
            "pool_place": places[row],
            "pool_distance": distances[row],
        }
        if _index(item) < SHOWN:
            made |= _shown(images[row], nearest[row], training)
        rows.append(made)
    return rows


def _shown(images: Tensor, nearest: np.ndarray, training: NearestTraining) -> Row:
    along = np.linspace(0, len(images) - 1, SHOWN_ALONG).round().astype(int)
    near = [training.images.image(int(nearest[place]))[0].ravel() for place in along]
    return {
        "pixels": images[along].flatten().numpy(),
        "nearest_pixels": np.concatenate(near),
    }


def _along(items: Sequence[Item], settings: Mapping[str, Any], resources: Resources) -> Tensor:
    """The images of the paths, one path after the other, unrounded and in memory."""
    generator, seed = shard_generator(settings, resources), settings["path_seed"]
    like = torch.empty(0, device=resources.device)
    shape = (generator.latent_dim,)
    ends = [
        item_normals(
            [item_seed(seed, item.condition, _index(item), end) for item in items],
            (Stream.SIMULATION,),
            shape,
            like,
        )
        for end in (0, 1)
    ]
    angle = torch.linspace(0, math.pi / 2, settings["steps"] + 1, device=resources.device)
    latents = torch.cos(angle)[:, None] * ends[0][:, None] + (
        torch.sin(angle)[:, None] * ends[1][:, None]
    )
    condition = None
    if generator.num_classes:
        classes = torch.tensor([item.condition for item in items], device=resources.device)
        condition = classes.repeat_interleave(len(angle))
    found = []
    flat = latents.flatten(0, 1)
    with torch.no_grad():
        for start in range(0, len(flat), _TOGETHER):
            part = slice(start, start + _TOGETHER)
            made = generator(flat[part], None if condition is None else condition[part])
            found.append(made.cpu().float())
    return torch.cat(found)


def _controls(
    items: Sequence[Item], settings: Mapping[str, Any], held: HeldOut, resources: Resources
) -> list[Outcome]:
    numbers = [_index(item) for item in items]
    there = [place for place in numbers if place not in held.errors]
    source = shard_image_set(settings["held_out"], resources)
    found: dict[int, Outcome] = {place: Failure(held.errors[place]) for place in held.errors}
    if there:
        images = torch.from_numpy(np.stack([source.image(place)[0] for place in there]))
        training = nearest_training(images, [_PIXELS], settings, resources)
        own = training.of(_PIXELS, range(len(images)))
        pool = pool_lists(images, _PIXELS, own, held.images[:1])
        near = nearness(pool.lists.distance)
        for row, place in enumerate(there):
            found[place] = {
                "pool_training": pool.training,
                "pool_held_out": pool.held_out,
                "pool_place": pool.lists.index[row, :1],
                "pool_nearness": float(near[row]),
            }
    return [found[place] for place in numbers]


def _index(item: Item) -> int:
    assert item.index is not None, "a path and an image are named by their number"
    return item.index
