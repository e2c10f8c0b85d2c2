"""The stages ``variance_fit`` and ``null_fit``: each image's reconstructions along a grid.

The null audit's images are the model's own samples, stored as the data are: drawn here, then
inverted as the data were.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..core.inversion import invert
from ..core.observation_variance import variance_curves
from ..core.residuals import sketch_residuals
from ..core.settings.definition import build_settings
from ..core.settings.inversion import InversionSettings
from .conditions import condition_tensor
from .inversion import NO_RECONSTRUCTION, inversion_distance
from .outcome import Failure, Outcome, Row
from .resources import Resources
from .shard import Item
from .subjects import subject_images


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``variance_fit`` table; an image that was not inverted is a failure."""
    inverted = [item for item in items if item.inversion_part is not None]
    rows = iter(_curves_of_inverted(inverted, settings, resources))
    return [
        next(rows)
        if item.inversion_part is not None
        else Failure("the inversion stage has no reconstruction of this image: it failed there")
        for item in items
    ]


def compute_null(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``null_fit`` table; without ``variances``, of the inversion's errors alone."""
    generator = resources.generator(settings)
    images, _ = subject_images(items, settings, resources)
    inversion = invert(
        generator,
        images,
        condition_tensor(items, resources.device),
        build_settings(InversionSettings, settings),
        [item.seed for item in items],
        inversion_distance(settings, resources),
    )
    curves: list[Outcome] = [{}] * len(items)
    if settings["variances"]:
        curves = _curves(items, images, inversion.restart_latent, settings, resources)
    columns = {
        "mse": inversion.mse.tolist(),
        "residual": sketch_residuals(inversion.residual).tolist(),
        "latent": inversion.latent.tolist(),
        "restart_latent": inversion.restart_latent.flatten(1).tolist(),
    }
    return [
        _inverted(row, dict(zip(columns, values, strict=True)))
        for row, *values in zip(curves, *columns.values(), strict=True)
    ]


def _inverted(row: Outcome, values: Row) -> Outcome:
    if isinstance(row, Failure):
        return row
    return {**row, **values} if np.isfinite(values["mse"]) else Failure(NO_RECONSTRUCTION)


def _curves_of_inverted(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    if not items:
        return []
    generator = resources.generator(settings)
    flat = torch.from_numpy(np.stack([resources.restart_latents(item) for item in items]))
    start = flat.to(resources.device).unflatten(1, (-1, generator.latent_dim))
    return _curves(items, resources.images(items), start, settings, resources)


def _curves(
    items: Sequence[Item],
    images: Tensor,
    start: Tensor,
    settings: Mapping[str, Any],
    resources: Resources,
) -> list[Outcome]:
    variances = settings["variances"]
    curves = variance_curves(
        resources.generator(settings),
        images,
        condition_tensor(items, resources.device),
        start,
        variances,
    )
    return [
        {"variances": variances, "squared_residual": residual, "degrees": degrees}
        if np.isfinite([residual, degrees]).all()
        else Failure("a reconstruction's error is not finite; is the generator's output finite?")
        for residual, degrees in zip(curves.residual.tolist(), curves.degrees.tolist(), strict=True)
    ]
