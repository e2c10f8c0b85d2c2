"""The ``patch_fit`` stage: a mixture of Gaussians of the 8x8 patches of each reference class."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.patch_mixture import PatchMixture, fit_patch_mixture
from ..core.patches import extract_patches, patch_grid
from ..core.settings.definition import build_settings
from ..core.settings.patch_mixture import MixtureSettings
from .datasets import ImageError, ImageSet, shard_image_set
from .outcome import Failure, Outcome, Row
from .part_file import read_part
from .resources import Resources
from .revisions import Computation, never
from .schema import ListColumn, TableSchema
from .shard import Item

COMPUTATION = Computation("offmanifold.workers.patch_fit:compute", "patch_fit", 1, never)

# One row a class of the reference set, condition being the class, or one for all: a mixture of
# Gaussians of its 8x8 patches. means are [components, dimensions], precision_cholesky [components,
# dimensions, dimensions] with inverse covariance P P', row-major; patch_mean is kept or removed,
# and covariance_floor what was added to the covariances' diagonals. mean_log_density is per patch
# of the fit, nats.
PATCH_FIT_TABLE = TableSchema(
    "patch_fit",
    1,
    (
        ("components", pa.int32()),
        ("covariance_floor", pa.float64()),
        ("patch_mean", pa.string()),
        ("images", pa.int32()),
        ("patches", pa.int32()),
        ("iterations", pa.int32()),
        ("converged", pa.bool_()),
        ("mean_log_density", pa.float64()),
        ("weights", pa.list_(pa.float64())),
        ("means", pa.list_(pa.float64())),
        ("precision_cholesky", pa.list_(pa.float64())),
    ),
    always=("mean_log_density",),
    lists=(
        ListColumn("weights", ("components",)),
        ListColumn("means"),
        ListColumn("precision_cholesky", ("means", "means"), over=("weights",)),
    ),
)

_MIXTURES_KEPT = 64

logger = logging.getLogger(__name__)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``patch_fit`` table: an item a class, or one without a class for all images."""
    return [_fit(item, settings, shard_image_set(settings, resources)) for item in items]


def _fit(item: Item, settings: Mapping[str, Any], images: ImageSet) -> Outcome:
    patch_images = _chosen_images(item, images, settings["max_patches"])
    if patch_images is None:
        return Failure(f"no image of class {item.condition} in {images.name} could be used")
    patches = extract_patches(patch_images)
    mixture = build_settings(MixtureSettings, settings)
    fit = fit_patch_mixture(patches, mixture, item.seed)
    return {
        "components": mixture.components,
        "covariance_floor": mixture.covariance_floor,
        "patch_mean": mixture.patch_mean,
        "images": len(patch_images),
        "patches": fit.patches,
        "iterations": fit.iterations,
        "converged": fit.converged,
        "mean_log_density": fit.mean_log_density,
        "weights": fit.mixture.weights.tolist(),
        "means": fit.mixture.means.ravel().tolist(),
        "precision_cholesky": fit.mixture.precision_cholesky.ravel().tolist(),
    }


def _chosen_images(item: Item, images: ImageSet, max_patches: int) -> np.ndarray | None:
    """Images of the item's class in a random order, until they fill ``max_patches``.

    Images that cannot be used are left out, and named in the log.
    """
    labels = images.labels()
    assert images.length is not None, "validation refuses a reference set without end"
    members = np.arange(images.length)
    if item.condition is not None and labels is not None:
        members = members[labels == item.condition]
    _, height, width = images.image_shape
    wanted = max(1, max_patches // patch_grid(height, width).patches)
    chosen: list[np.ndarray] = []
    for index in np.random.default_rng(item.seed).permutation(members).tolist():
        if len(chosen) == wanted:
            break
        try:
            chosen.append(images.image(index)[0])
        except ImageError as error:
            logger.warning("left out of the patch model: %s", error)
    return np.stack(chosen) if chosen else None


def patch_mixture(part: str, resources: Resources) -> PatchMixture | Failure:
    """The mixture in a part of the ``patch_fit`` table, or why it could not be fitted."""

    def read() -> PatchMixture | Failure:
        return _mixture(read_part(resources.storage, PATCH_FIT_TABLE, part).to_pylist()[0])

    return resources.kept(PATCH_FIT_TABLE.name, part, read, most=_MIXTURES_KEPT)


def _mixture(row: Row) -> PatchMixture | Failure:
    if row["weights"] is None:
        return Failure(f"the patch model of class {row['condition']} failed: {row['error']}")
    weights = np.asarray(row["weights"])
    means = np.asarray(row["means"]).reshape(len(weights), -1)
    dimensions = means.shape[1]
    cholesky = np.asarray(row["precision_cholesky"]).reshape(-1, dimensions, dimensions)
    return PatchMixture(weights, means, cholesky, row["patch_mean"])
