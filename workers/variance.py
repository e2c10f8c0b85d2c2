"""The ``variance`` stage: the observation variance of each generator, sigma^2 on [0, 1]."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..core.image_metrics import noise_variance
from .outcome import Failure, Outcome
from .part_file import read_columns_of_parts
from .resources import Resources
from .schema import STATUS_OK
from .shard import Item


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """One row a generator: a given value, or the maximum-likelihood fit to its reconstructions.

    The fit is the mean squared error over the training images, each reconstructed under its own
    condition [IP B.3].
    """
    if settings["value"] is not None:
        return [{"variance": settings["value"], "n": None} for _ in items]
    return [_fit(item, settings, resources) for item in items]


def _fit(item: Item, settings: Mapping[str, Any], resources: Resources) -> Outcome:
    own = dict(settings["own_conditions"])
    errors: list[float] = []
    columns = ["generator", "image_id", "condition", "status", "mse"]
    parts = settings["inversion_parts"]
    for part in read_columns_of_parts(resources.storage, "inversion", parts, columns):
        for row in part.to_pylist():
            mine = row["generator"] == item.generator and row["image_id"] in own
            if mine and row["condition"] == own[row["image_id"]] and row["status"] == STATUS_OK:
                errors.append(row["mse"])
    if not errors:
        return Failure(f"no training image was inverted under {item.generator}: no variance to fit")
    return {"variance": noise_variance(np.asarray(errors)), "n": len(errors)}
