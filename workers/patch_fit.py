"""The ``patch_fit`` stage: a mixture of Gaussians of the 8x8 patches of each reference class."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.patch_mixture import fit_patch_mixture
from ..core.patches import extract_patches, patch_grid
from ..core.settings.definition import build_settings
from ..core.settings.patch_mixture import MixtureSettings
from .datasets import ImageError, ImageSet
from .outcome import Failure, Outcome
from .resources import Resources
from .shard import Item

logger = logging.getLogger(__name__)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``patch_fit`` table: an item a class, or one without a class for all images."""
    return [_fit(item, settings, resources.image_set(settings)) for item in items]


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
