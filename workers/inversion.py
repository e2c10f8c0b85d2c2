"""The ``inversion`` stage: each image's nearest point on the generator's manifold [IP Eq. 3]."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..core.image_metrics import psnr
from ..core.inversion import Distance, invert, mean_squared_error
from ..core.residuals import sketch_residuals
from ..core.settings.definition import build_settings
from ..core.settings.inversion import InversionSettings
from .conditions import condition_tensor
from .outcome import Failure, Outcome, Row
from .resources import Resources
from .shard import Item

NO_RECONSTRUCTION = "no finite reconstruction error was found; is the generator's output finite?"


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``inversion`` table; an inversion without a finite error is a failure."""
    inversion = invert(
        resources.generator(settings),
        resources.images(items),
        condition_tensor(items, resources.device),
        build_settings(InversionSettings, settings),
        [item.seed for item in items],
        inversion_distance(settings, resources),
    )
    columns = {
        "mse": inversion.mse.tolist(),
        "psnr": psnr(inversion.mse.cpu().numpy()).tolist(),
        "distance": inversion.distance.tolist(),
        "restart_distance": inversion.restart_distance.tolist(),
        "latent": inversion.latent.tolist(),
        "restart_latent": inversion.restart_latent.flatten(1).tolist(),
        "residual": sketch_residuals(inversion.residual).tolist(),
    }
    return [
        _row(item, dict(zip(columns, values, strict=True)), inversion.iterations)
        for item, *values in zip(items, *columns.values(), strict=True)
    ]


def _row(item: Item, values: Row, iterations: int) -> Outcome:
    if not math.isfinite(values["mse"]):
        return Failure(NO_RECONSTRUCTION)
    # Only under an image's own class are residuals compared; all classes would make many rows.
    kept = {} if item.condition in (None, item.label) else {"residual": None}
    return {**values, **kept, "iterations": iterations}


def inversion_distance(settings: Mapping[str, Any], resources: Resources) -> Distance:
    """What an inversion of a shard's settings minimises."""
    if settings["distance"] == "mse":
        return mean_squared_error
    return resources.perceptual(settings["perceptual_network"], settings["perceptual_weights"])
