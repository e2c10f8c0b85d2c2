"""Features that the ``features`` stage has computed, read from its parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .features import FEATURES_TABLE
from .nearest_training import MOST_BYTES
from .part_file import read_part
from .reference_block import ReferenceBlock, Vectors
from .resources import Resources
from .schema import STATUS_OK


@dataclass(frozen=True)
class KeptFeatures:
    """The rows of a part that have features.

    ``vectors`` is [found, features], and ``rows`` the places of these among all rows, whose images
    are ``image_ids``. ``errors`` says of the other rows why they have none, by place.
    """

    vectors: Vectors
    rows: np.ndarray
    image_ids: Sequence[str]
    errors: dict[int, str]


def kept_features(part: str, resources: Resources) -> KeptFeatures:
    """What a part of the ``features`` table holds."""
    columns = ["status", "error", "image_id", "features"]
    table = read_part(resources.storage, FEATURES_TABLE, part, columns)
    is_ok = table["status"].to_numpy() == STATUS_OK
    rows = np.flatnonzero(is_ok)
    kept = table["features"].filter(pa.array(is_ok))
    values = pc.list_flatten(kept).to_numpy().astype(np.float32)
    errors = table["error"].to_pylist()
    failed = sorted(set(range(len(table))).difference(rows.tolist()))
    return KeptFeatures(
        values.reshape(len(rows), -1) if len(rows) else np.empty((0, 0), np.float32),
        rows,
        [str(image_id) for image_id in table["image_id"].to_pylist()],
        {row: str(errors[row]) for row in failed},
    )


def feature_blocks(
    parts: Sequence[str], resources: Resources
) -> Iterator[tuple[int, ReferenceBlock]]:
    """The features of a set of images in the order of its parts, and how many are before each.

    An image's index is its place among the rows of all parts.
    """
    before, start, most = 0, 0, 1
    for part in parts:
        found = resources.kept(
            "training features", part, partial(kept_features, part, resources), most=most
        )
        most = max(1, MOST_BYTES // max(1, found.vectors.nbytes))
        if len(found.rows):
            count = len(found.rows)
            yield (
                before,
                ReferenceBlock(found.vectors, np.full(count, -1, np.int64), start + found.rows, []),
            )
            before += count
        start += len(found.image_ids)
