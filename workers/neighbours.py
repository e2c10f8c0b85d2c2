"""The ``neighbours`` stage: the nearest image in a block of a reference set, as the baseline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch

from ..core.statistics.neighbours import nearest
from .datasets import shard_image_set
from .lpips_backbone import shard_distance
from .outcome import Outcome
from .reference_block import Describe, ReferenceBlock, Vectors, flat, read_block
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item
from .stored_images import source_of, stored_images


def _calls_networks(settings: Mapping[str, Any]) -> bool:
    return bool(settings["space"] == "lpips")


COMPUTATION = Computation(
    "offmanifold.workers.neighbours:compute", "neighbours", 1, _calls_networks
)

# The nearest image in a block of the reference set, the query itself left out, over all and within
# each class (index = class); all null where the block has none. space is pixels (distance is l2) or
# lpips (distance is LPIPS). A query has a row for each of the blocks 0 to blocks - 1; its nearest
# image is that of the row with the least (distance, block). nearest_index counts in the whole set.
NEIGHBOURS_TABLE = TableSchema(
    "neighbours",
    3,
    (
        ("space", pa.string()),
        ("block", pa.int32()),
        ("blocks", pa.int32()),
        ("nearest_index", pa.int64()),
        ("nearest_source", pa.string()),
        ("nearest_label", pa.int32()),
        ("distance", pa.float64()),
        ("class_distance", pa.list_(pa.float64())),
    ),
    repeated_by=("space", "block"),
    lists=(
        ListColumn(
            "class_distance", ("setting:num_classes",), optional=True, numbers="infinite too"
        ),
    ),
)

# Batches of one size go through one kernel, so that equal images have equal features wherever
# they stand.
_FEATURE_BATCH = 32


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``neighbours`` table: the nearest in the shard's block, the query left out.

    Distances are l2 in pixels, or LPIPS, which is the square of l2 between features.
    """
    describe = _description(settings, resources)
    queries = describe(stored_images(items, resources).cpu().numpy())
    block = resources.kept(
        "block",
        _block_key(settings),
        lambda: _read(settings, resources, describe, queries.shape[1]),
        most=1,
    )
    positions = {source: position for position, source in enumerate(block.sources)}
    exclude = [positions.get(source_of(item, resources) or "", -1) for item in items]
    found = nearest(
        queries,
        block.vectors,
        block.labels,
        settings["num_classes"],
        np.array(exclude, np.int64),
    )
    power = 2 if settings["space"] == "lpips" else 1
    return [
        _row(settings, block, index, distance, class_distance)
        for index, distance, class_distance in zip(
            found.index.tolist(),
            (found.distance**power).tolist(),
            (found.class_distance**power).tolist(),
            strict=True,
        )
    ]


def _row(
    settings: Mapping[str, Any],
    block: ReferenceBlock,
    position: int,
    distance: float,
    class_distance: list[float],
) -> Outcome:
    """One query's row; nothing is nearest where the block has no image but the query itself."""
    place = {key: settings[key] for key in ("space", "block", "blocks")}
    if position < 0:
        return place
    label = int(block.labels[position])
    return {
        **place,
        "nearest_index": int(block.index[position]),
        "nearest_source": block.sources[position],
        "nearest_label": None if label < 0 else label,
        "distance": distance,
        "class_distance": class_distance or None,
    }


def _block_key(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    keys = ("hash", "start", "stop", "space", "perceptual_network", "perceptual_sha256")
    return tuple(settings.get(key) for key in keys)


def _read(
    settings: Mapping[str, Any], resources: Resources, describe: Describe, width: int
) -> ReferenceBlock:
    images = shard_image_set(settings, resources)
    return read_block(images, settings["start"], settings["stop"], describe, width)


def _description(settings: Mapping[str, Any], resources: Resources) -> Describe:
    if settings["space"] == "pixels":
        return flat
    distance = shard_distance(settings, resources)

    def features(images: npt.NDArray[np.float32]) -> Vectors:
        parts = []
        for start in range(0, len(images), _FEATURE_BATCH):
            batch = torch.from_numpy(images[start : start + _FEATURE_BATCH])
            missing = batch[:1].expand(_FEATURE_BATCH - len(batch), -1, -1, -1)
            whole = torch.cat([batch, missing]).to(resources.device)
            parts.append(distance.features(whole)[: len(batch)].cpu().numpy())
        return np.concatenate(parts)

    return features
