"""The ``pca`` stage: principal components of real images, a space to compare others in."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.statistics.ppca import fit_ppca
from .datasets import ImageError, shard_image_set
from .generated_images import sample_order
from .outcome import Failure, Outcome
from .part_file import read_part
from .resources import Resources
from .revisions import Computation, never
from .schema import ListColumn, TableSchema
from .shard import Item

COMPUTATION = Computation("offmanifold.workers.pca:compute", "pca", 1, never)

# One row: the mean of n real images and their principal components, orthonormal rows one after the
# other, with the covariance along each.
PCA_TABLE = TableSchema(
    "pca",
    1,
    (
        ("n", pa.int32()),
        ("mean", pa.list_(pa.float64())),
        ("components", pa.list_(pa.float64())),
        ("eigenvalue", pa.list_(pa.float64())),
    ),
    lists=(
        ListColumn("mean", ("image:values",)),
        ListColumn("components", ("eigenvalue", "mean")),
        ListColumn("eigenvalue", ()),
    ),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """One row: the components of the first ``images`` images in the order of ``order_seed``."""
    source = shard_image_set(settings, resources)
    order = sample_order(settings["length"], settings["order_seed"])
    rows = np.empty((settings["images"], math.prod(settings["image_shape"])), np.float32)
    count = 0
    for place in order[: settings["images"]].tolist():
        try:
            rows[count] = source.image(place)[0].ravel()
        except ImageError:
            # It fails in its own row of features.
            continue
        count += 1
    found: Outcome
    try:
        fitted = fit_ppca(rows[:count], settings["components"])
    except ValueError as error:
        found = Failure(str(error))
    else:
        found = {
            "n": count,
            "mean": fitted.mean,
            "components": fitted.components.ravel(),
            "eigenvalue": fitted.eigenvalue,
        }
    return [found for _ in items]


def project(images: np.ndarray, settings: Mapping[str, Any], resources: Resources) -> np.ndarray:
    """Images [n, C, H, W] along the components of the part that ``settings`` name [n, q]."""

    def opened() -> tuple[np.ndarray, np.ndarray]:
        table = read_part(resources.storage, PCA_TABLE, settings["part"], ["mean", "components"])
        mean = table["mean"][0].values.to_numpy()
        components = table["components"][0].values.to_numpy()
        return mean, components.reshape(-1, len(mean))

    mean, components = resources.kept("pca", settings["part"], opened, most=2)
    projected: np.ndarray = (images.reshape(len(images), -1) - mean) @ components.T
    return projected
