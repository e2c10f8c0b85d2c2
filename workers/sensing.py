"""The ``sensing`` stage: each image restored from a few random measurements [HU 2.2]."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..core.image_metrics import psnr
from ..core.sensing import (
    Restoration,
    measure,
    measurement_matrix,
    restore,
)
from ..core.settings.definition import build_settings
from ..core.settings.sensing import SensingSettings
from .conditions import condition_tensor
from .generators import shard_generator
from .latent_bank import shared_bank
from .outcome import Failure, Outcome
from .ppca import read_ppca
from .resources import Resources
from .revisions import Computation
from .schema import ListColumn, TableSchema
from .shard import Item
from .stored_images import stored_images

COMPUTATION = Computation("offmanifold.workers.sensing:compute", "sensing", 3)

# A row for every number of measurements. objective, mse, psnr and latent are of the restart with
# the smallest objective, of the finalists that restart_objective and restart_psnr have;
# oracle_psnr is the best one's, which only the truth can tell. evaluations are as in inversion.
SENSING_TABLE = TableSchema(
    "sensing",
    2,
    (
        ("measurements", pa.int32()),
        ("objective", pa.float64()),
        ("mse", pa.float64()),
        ("psnr", pa.float64()),
        ("oracle_psnr", pa.float64()),
        ("restart_objective", pa.list_(pa.float64())),
        ("restart_psnr", pa.list_(pa.float64())),
        ("ppca_mse", pa.float64()),
        ("ppca_psnr", pa.float64()),
        ("latent", pa.list_(pa.float32())),
        ("evaluations", pa.int64()),
    ),
    repeated_by=("measurements",),
    always=("objective", "mse", "ppca_mse"),
    lists=(
        ListColumn("restart_objective", ("search:finalists",), numbers="any"),
        ListColumn("restart_psnr", ("search:finalists",), numbers="any"),
        ListColumn("latent", ("generator:latent",)),
    ),
)


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``sensing`` table; a restoration without a finite objective is a failure.

    The matrix is drawn again from its seed: it is nowhere stored.
    """
    generator, images = shard_generator(settings, resources), stored_images(items, resources)
    seeds = [item.seed for item in items]
    restoring = build_settings(SensingSettings, settings)
    matrix = measurement_matrix(
        settings["matrix_seed"], settings["measurements"], math.prod(images.shape[1:])
    )
    restoration = restore(
        generator,
        images,
        condition_tensor(items, resources.device),
        matrix,
        restoring,
        seeds,
        shared_bank(generator, settings, resources),
    )
    # On the CPU, whatever the device: the measurements that the generator was given.
    stored = images.cpu()
    observed = measure(stored, matrix, restoring.noise, seeds).numpy()
    baseline = read_ppca(resources.storage, settings["ppca_part"])
    gaussian = baseline.restore(observed, matrix.numpy(), restoring.noise)
    errors = np.square(gaussian - stored.flatten(1).double().numpy()).mean(axis=1)
    return [
        {
            "measurements": settings["measurements"],
            **row,
            **_baseline(float(error)),
            "evaluations": restoration.evaluations,
        }
        if math.isfinite(row["objective"])
        else Failure("no finite objective was found; is the generator's output finite?")
        for row, error in zip(_restorations(restoration), errors, strict=True)
    ]


def _restorations(restoration: Restoration) -> list[dict[str, Any]]:
    chosen = restoration.chosen
    mse = _pick(restoration.restart_mse, chosen).cpu().numpy()
    oracle = _pick(restoration.restart_mse, restoration.oracle).cpu().numpy()
    columns = {
        "objective": _pick(restoration.restart_objective, chosen).tolist(),
        "mse": mse.tolist(),
        "psnr": psnr(mse).tolist(),
        "oracle_psnr": psnr(oracle).tolist(),
        "restart_objective": restoration.restart_objective.tolist(),
        "restart_psnr": psnr(restoration.restart_mse.cpu().numpy()).tolist(),
        "latent": _pick(restoration.restart_latent, chosen).tolist(),
    }
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _pick(restarts: Tensor, chosen: Tensor) -> Tensor:
    return restarts[torch.arange(len(restarts), device=restarts.device), chosen]


def _baseline(error: float) -> dict[str, float]:
    return {"ppca_mse": error, "ppca_psnr": float(psnr(error))}
