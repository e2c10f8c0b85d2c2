"""The ``feature_copies`` stage: nearest training images in what a network sees of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..core.statistics.copies import nearness
from ..core.statistics.views import View, same
from .copies import SHOWN, held_halves, images_asked, placebo_nearness, pools
from .datasets import shard_image_set
from .generated_images import draws_images
from .held_out import HeldOut, held_out_halves, held_out_id
from .kept_features import feature_blocks, kept_features
from .nearest_training import nearest_in_blocks
from .outcome import Failure, Outcome, Row
from .reference_block import Vectors
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item
from .usable_images import UsableImages

# A generator draws a few images again, for the report's pictures.
COMPUTATION = Computation(
    "offmanifold.workers.feature_copies:compute", "feature_copies", 2, draws_images
)

# As the table copies, in one space: nearness, the nearest training image and its distance are
# numbers, and the pool is that of the space.
FEATURE_COPIES_TABLE = TableSchema(
    "feature_copies",
    1,
    (
        ("space", pa.string()),
        ("index", pa.int64()),
        ("half", pa.int32()),
        ("nearness", pa.float64()),
        ("nearest_index", pa.int64()),
        ("distance", pa.float64()),
        ("placebo_nearness", pa.float64()),
        ("pool_training", pa.int64()),
        ("pool_held_out", pa.int64()),
        ("pool_place", pa.int64()),
        ("pool_nearness", pa.float64()),
        ("pixels", pa.list_(pa.float32())),
        ("nearest_pixels", pa.list_(pa.float32())),
    ),
    repeated_by=("space",),
    always=("nearness", "distance"),
    lists=(
        ListColumn("pixels", ("image:values",), optional=True),
        ListColumn("nearest_pixels", ("image:values",), optional=True),
    ),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``feature_copies`` table: a generator's images, held-out ones, planted copies.

    All features are those of the ``features`` stage: the ``training_parts``, the ``held_out_parts``
    and the ``asked_part``, which has the images that the shard is about.
    """
    known = _by_image([settings["asked_part"]], resources)
    vectors = [known[item.image_id] for item in items]
    failures = {
        place: Failure(f"the image's features failed: {vector}")
        for place, vector in enumerate(vectors)
        if isinstance(vector, str)
    }
    found = [vector for vector in vectors if not isinstance(vector, str)]
    asked = UsableImages(torch.from_numpy(np.array(found, np.float32)), failures)
    if not found:
        return asked.in_place([])
    there = [items[place] for place in asked.places]
    return asked.in_place(_rows(asked.images, there, settings, resources))


def _rows(
    vectors: Tensor, items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Row]:
    view, held = View(settings["space"], same), _held_out(settings, resources)
    training = nearest_in_blocks(
        vectors,
        [view],
        feature_blocks(settings["training_parts"], resources),
        shard_image_set(settings["training"], resources),
    )
    lists = training.lists[view.name]
    near = nearness(lists.distance)
    halves = held_halves(items, settings, held)
    placebo = placebo_nearness(vectors, [view], held, halves)
    pooled = pools(vectors, view, training, held, halves)
    rows: list[Row] = []
    for row, item in enumerate(items):
        beside = placebo[row]
        rows.append(
            {
                "space": view.name,
                "index": item.index,
                "half": halves[row],
                "nearness": float(near[row]),
                "nearest_index": int(training.index[lists.index[row, 0]]),
                "distance": float(lists.distance[row, 0]),
                "placebo_nearness": None if beside is None else beside[0],
                **pooled[row],
            }
        )
    shown = np.argsort(near, kind="stable")[:SHOWN].tolist()
    pictures = images_asked([items[row] for row in shown], settings, resources)
    for place, image in zip(pictures.places, pictures.images, strict=True):
        made = rows[shown[place]]
        nearest = training.images.image(made["nearest_index"])[0]
        made |= {"pixels": image.flatten().tolist(), "nearest_pixels": nearest.ravel().tolist()}
    return rows


def _held_out(settings: Mapping[str, Any], resources: Resources) -> HeldOut:
    """The held-out images' halves, with features [images, features] in the place of images."""
    return resources.kept(
        "held-out features",
        tuple(settings["held_out_parts"]),
        lambda: _read_held_out(settings, resources),
        most=1,
    )


def _read_held_out(settings: Mapping[str, Any], resources: Resources) -> HeldOut:
    known = _by_image(settings["held_out_parts"], resources)
    halves, half, errors = [], {}, {}
    chosen = held_out_halves(
        settings["held_out_length"], settings["held_out_images"], settings["held_out_seed"]
    )
    for number, places in enumerate(chosen):
        vectors = []
        for place in places:
            half[place] = number
            found = known[held_out_id(place)]
            if isinstance(found, str):
                errors[place] = found
            else:
                vectors.append(found)
        halves.append(torch.from_numpy(np.array(vectors, np.float32)))
    return HeldOut((halves[0], halves[1]), half, errors)


def _by_image(parts: Sequence[str], resources: Resources) -> dict[str, Vectors | str]:
    """Each image's features by its id, or why it has none."""
    found: dict[str, Vectors | str] = {}
    for part in parts:
        read = kept_features(part, resources)
        found |= {
            read.image_ids[row]: vector for row, vector in zip(read.rows, read.vectors, strict=True)
        }
        found |= {read.image_ids[row]: error for row, error in read.errors.items()}
    return found
