"""LPIPS of the reconstructions, beside their squared error."""

import numpy as np

from ....core.statistics.means import mean_interval
from ....core.statistics.medians import median_interval
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.groups import GroupValues
from ...reduce.schema import SummaryRow, summary_row
from ..inversion.reduce import failed_images, reduce_errors


def reduce_perceptual(context: ReduceContext) -> list[SummaryRow]:
    """Mean and median LPIPS of every group, and each group's ratio to the generated images."""
    return reduce_errors(context, "perceptual", "lpips", _group_rows, "reconstruction_lpips_ratio")


def _group_rows(
    context: ReduceContext,
    generator: GeneratorInfo,
    values: GroupValues,
    condition: str | None,
    errors: np.ndarray,
) -> list[SummaryRow]:
    seed = context.seed_of("perceptual", generator.name, values.group.name, condition)
    return [
        summary_row(
            metric,
            interval,
            generator=generator.name,
            condition=condition,
            group=values.group.name,
        )
        for metric, interval in (
            ("reconstruction_lpips_mean", mean_interval(errors, seed, resamples=context.resamples)),
            (
                "reconstruction_lpips_median",
                median_interval(errors, failed=failed_images(values, errors)),
            ),
        )
    ]
