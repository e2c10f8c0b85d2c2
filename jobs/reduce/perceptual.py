"""LPIPS of the reconstructions, beside their squared error."""

import numpy as np

from ...core.statistics.bootstrap import bootstrap_interval
from ...core.statistics.classification import mean
from .context import GeneratorInfo, ReduceContext
from .groups import GroupValues
from .reconstruction import median, reduce_errors
from .schema import SummaryRow, summary_row


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
            bootstrap_interval(errors, statistic, seed, resamples=context.resamples),
            generator=generator.name,
            condition=condition,
            group=values.group.name,
        )
        for metric, statistic in (
            ("reconstruction_lpips_mean", mean),
            ("reconstruction_lpips_median", median),
        )
    ]
