"""The ``ppca`` stage: a Gaussian prior over a reference set, the baseline of ``sensing``."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..cluster.storage import Storage
from ..core.statistics.ppca import PPCA, fit_ppca
from .datasets import shard_image_set
from .outcome import Outcome
from .part_file import read_part
from .reference_block import flat, read_block
from .resources import Resources
from .revisions import Computation, never
from .schema import ListColumn, TableSchema
from .shard import Item

COMPUTATION = Computation("offmanifold.workers.ppca:compute", "ppca", 1, never)

# One row: a Gaussian N(mean, W W^T + noise_variance I) fitted to n reference images. components are
# q orthonormal rows, one after the other; eigenvalue is the covariance along each.
PPCA_TABLE = TableSchema(
    "ppca",
    1,
    (
        ("n", pa.int32()),
        ("mean", pa.list_(pa.float64())),
        ("components", pa.list_(pa.float64())),
        ("eigenvalue", pa.list_(pa.float64())),
        ("noise_variance", pa.float64()),
    ),
    always=("noise_variance",),
    lists=(
        ListColumn("mean", ("image:values",)),
        ListColumn("components", ("eigenvalue", "mean")),
        ListColumn("eigenvalue", ()),
    ),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """One row: the fit to the whole reference set, all of its classes together."""
    images = shard_image_set(settings, resources)
    block = read_block(images, 0, images.length or 0, flat, math.prod(settings["image_shape"]))
    fitted = fit_ppca(block.vectors, settings["components"])
    row = {
        "n": len(block.vectors),
        "mean": fitted.mean,
        "components": fitted.components.ravel(),
        "eigenvalue": fitted.eigenvalue,
        "noise_variance": fitted.noise_variance,
    }
    return [row for _ in items]


def read_ppca(storage: Storage, part: str) -> PPCA:
    """The fit that a part of the ``ppca`` table holds."""
    table = read_part(storage, PPCA_TABLE, part)
    mean, components, eigenvalue = (
        _list(table, name) for name in ("mean", "components", "eigenvalue")
    )
    return PPCA(
        mean,
        components.reshape(len(eigenvalue), len(mean)),
        eigenvalue,
        table["noise_variance"][0].as_py(),
    )


def _list(table: pa.Table, name: str) -> np.ndarray:
    values: np.ndarray = table[name][0].values.to_numpy()
    return values
