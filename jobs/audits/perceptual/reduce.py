"""LPIPS of the reconstructions, beside their squared error."""

import numpy as np

from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter
from ...reduce.groups import GroupValues
from ...reduce.schema import SummaryRow
from ..inversion.reduce import failed_images, reduce_errors


def reduce_perceptual(context: ReduceContext) -> list[SummaryRow]:
    """Mean and median LPIPS of every group, and each group's ratio to the generated images."""
    frame = context.tables.read("perceptual", ["lpips"])
    if frame is None:
        return []
    return reduce_errors(context, frame, "lpips", _group_rows, "reconstruction_lpips_ratio")


def _group_rows(emit: Emitter, values: GroupValues, errors: np.ndarray) -> list[SummaryRow]:
    emit = emit.seeded("perceptual", emit.keys["condition"])
    failed = failed_images(values, errors)
    return [
        emit.mean_row("reconstruction_lpips_mean", errors),
        emit.median_row("reconstruction_lpips_median", errors, failed),
    ]
