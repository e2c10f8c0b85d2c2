"""The stages ``variance_fit`` and ``null_fit``: each image's reconstructions along a grid.

The null audit's images are the model's own samples, stored as the data are: drawn here, then
inverted as the data were.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..core.observation_variance import variance_curves
from ..core.residuals import sketch_residuals
from .conditions import condition_tensor
from .generators import shard_generator
from .inversion import (
    NO_RECONSTRUCTION,
    inverted_images,
    latent_squares,
    restart_latents,
)
from .outcome import Failure, Outcome, Row
from .resources import Resources
from .revisions import Computation
from .schema import Columns, ListColumn, TableSchema
from .shard import Item
from .stored_images import stored_images
from .subjects import subject_images

COMPUTATION = Computation("offmanifold.workers.variance_fit:compute", "variance_fit", 2)
NULL_COMPUTATION = Computation(
    "offmanifold.workers.variance_fit:compute_null", "variance_fit.null", 3
)

# An image's reconstructions at the maximum of its posterior under each of variances:
# squared_residual is |x - G(z)|^2, degrees the effective degrees of freedom of the latent there.
_CURVE_COLUMNS: Columns = (
    ("variances", pa.list_(pa.float64())),
    ("squared_residual", pa.list_(pa.float64())),
    ("degrees", pa.list_(pa.float64())),
)
VARIANCE_FIT_TABLE = TableSchema(
    "variance_fit",
    1,
    _CURVE_COLUMNS,
    lists=tuple(ListColumn(name, ("setting:variances",)) for name, _ in _CURVE_COLUMNS),
)

# The model's own samples in the place of the data, drawn with noise_variance and stored as the
# data are, inverted like them: mse, residual and latents are as in inversion. The curves are those
# of the half that the null's variance is fitted to.
NULL_FIT_TABLE = TableSchema(
    "null_fit",
    2,
    (
        ("mse", pa.float64()),
        ("latent_square", pa.float64()),
        ("residual", pa.list_(pa.float32())),
        ("restart_latent", pa.list_(pa.float32())),
        *_CURVE_COLUMNS,
    ),
    always=("mse", "latent_square"),
    lists=(
        ListColumn("residual", ("image:residual",)),
        ListColumn("restart_latent", ("search:finalists", "generator:latent"), numbers="any"),
        *(ListColumn(name, ("setting:variances",), optional=True) for name, _ in _CURVE_COLUMNS),
    ),
)


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
    images, _ = subject_images(items, settings, resources)
    inversion = inverted_images(items, images, settings, resources)
    curves: list[Outcome] = [{}] * len(items)
    if settings["variances"]:
        curves = _curves(items, images, inversion.restart_latent, settings, resources)
    columns = {
        "mse": inversion.mse.tolist(),
        "residual": sketch_residuals(inversion.residual).tolist(),
        "latent_square": latent_squares(inversion).tolist(),
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
    generator = shard_generator(settings, resources)
    flat = torch.from_numpy(np.stack([restart_latents(item, resources) for item in items]))
    start = flat.to(resources.device).unflatten(1, (-1, generator.latent_dim))
    return _curves(items, stored_images(items, resources), start, settings, resources)


def _curves(
    items: Sequence[Item],
    images: Tensor,
    start: Tensor,
    settings: Mapping[str, Any],
    resources: Resources,
) -> list[Outcome]:
    variances = settings["variances"]
    curves = variance_curves(
        shard_generator(settings, resources),
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
