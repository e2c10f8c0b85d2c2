"""The ``feature_copies`` stage: nearest training images in what a network sees of them."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.statistics.copies import nearness
from .copies import SHOWN, held_halves, images_asked, placebo_nearness, pools
from .feature_views import shard_feature_view
from .held_out import shard_held_out
from .nearest_training import nearest_training
from .outcome import Outcome, Row
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item

COMPUTATION = Computation("offmanifold.workers.feature_copies:compute", "feature_copies", 1)

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

    The training images come by block; their features stay, as far as there is room for them.
    """
    held = shard_held_out(settings, resources)
    usable = images_asked(items, settings, resources)
    images, there = usable.images, usable.places
    found: dict[int, Outcome] = dict(usable.failures)
    if there:
        asked = [items[place] for place in there]
        view = shard_feature_view(settings, resources)
        training = nearest_training(images, [view], settings, resources)
        lists = training.lists[view.name]
        near = nearness(lists.distance)
        halves = held_halves(asked, settings, held)
        placebo = placebo_nearness(images, [view], held, halves)
        pooled = pools(images, view, training, held, halves)
        shown = set(np.argsort(near, kind="stable")[:SHOWN].tolist())
        for row, place in enumerate(there):
            nearest = int(training.index[lists.index[row, 0]])
            beside = placebo[row]
            made: Row = {
                "space": view.name,
                "index": asked[row].index,
                "half": halves[row],
                "nearness": float(near[row]),
                "nearest_index": nearest,
                "distance": float(lists.distance[row, 0]),
                "placebo_nearness": None if beside is None else beside[0],
                **pooled[row],
            }
            if row in shown:
                made["pixels"] = images[row].flatten().tolist()
                made["nearest_pixels"] = training.images.image(nearest)[0].ravel().tolist()
            found[place] = made
    return [found[place] for place in range(len(items))]
