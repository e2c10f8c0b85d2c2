"""The ``patch_gmm`` stage: every image's log density under the mixture of its patches [HU 3]."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.patch_mixture import PatchMixture
from ..core.patches import patch_grid
from .outcome import Failure, Outcome
from .patch_fit import patch_mixture
from .resources import Resources
from .revisions import Computation
from .schema import TableSchema
from .shard import Item
from .subjects import simulates_images, subject_images

COMPUTATION = Computation("offmanifold.workers.patch_gmm:compute", "patch_gmm", 1, simulates_images)

# log_density is the sum over an image's patches of their log densities, nats on [0, 1], under the
# mixture of model_class (null: one mixture for all). covered is the share of its pixels inside
# the patches; the rest is cropped.
PATCH_GMM_TABLE = TableSchema(
    "patch_gmm",
    1,
    (
        ("model_class", pa.int32()),
        ("patches", pa.int32()),
        ("covered", pa.float64()),
        ("log_density", pa.float64()),
    ),
    always=("log_density",),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``patch_gmm`` table: ``settings`` name the part that holds each class's mixture.

    An image whose class has no mixture is a failure, as is a density that is not finite.
    """
    images = subject_images(items, settings, resources)[0].cpu().numpy()
    parts: dict[int | None, str] = dict(settings["models"])
    shared = None in parts
    grid = patch_grid(*images.shape[2:])
    outcomes: list[Outcome] = [Failure("not computed")] * len(items)
    for model_class in dict.fromkeys(None if shared else item.condition for item in items):
        members = [i for i, item in enumerate(items) if shared or item.condition == model_class]
        mixture = patch_mixture(parts[model_class], resources)
        for index, outcome in zip(
            members, _densities(images[members], mixture, len(members)), strict=True
        ):
            outcomes[index] = (
                outcome
                if isinstance(outcome, Failure)
                else {
                    "model_class": model_class,
                    "patches": grid.patches,
                    "covered": grid.covered,
                    "log_density": outcome,
                }
            )
    return outcomes


def _densities(
    images: np.ndarray, mixture: PatchMixture | Failure, count: int
) -> list[float | Failure]:
    if isinstance(mixture, Failure):
        return [mixture] * count
    return [
        density if np.isfinite(density) else Failure(f"the patches' log density is {density}")
        for density in mixture.log_density(images).tolist()
    ]
