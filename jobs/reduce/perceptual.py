"""LPIPS of the reconstructions, beside their squared error."""

import numpy as np

from ...core.statistics.bootstrap import bootstrap_interval
from ...core.statistics.classification import mean
from .context import GeneratorInfo, ReduceContext
from .groups import GroupValues, group_values
from .reconstruction import median, ratio_rows, reconstruction_errors
from .schema import SummaryRow, summary_row
from .tables import read_stage


def reduce_perceptual(context: ReduceContext) -> list[SummaryRow]:
    """Mean and median LPIPS of every group, and each group's ratio to the generated images."""
    frame = read_stage(context.run_dir, "perceptual", ["lpips"])
    if frame is None:
        return []
    rows = []
    for generator in context.generators:
        groups = group_values(context, frame, "lpips", generator)
        for values in groups.values():
            for condition, errors in reconstruction_errors(values).items():
                rows += _group_rows(context, generator, values, condition, errors)
        for reference in context.with_role("generated"):
            if reference.name in groups:
                rows += ratio_rows(
                    context,
                    generator,
                    groups,
                    groups[reference.name],
                    "reconstruction_lpips_ratio",
                )
    return rows


def _group_rows(
    context: ReduceContext,
    generator: GeneratorInfo,
    values: GroupValues,
    condition: str | None,
    errors: np.ndarray,
) -> list[SummaryRow]:
    if len(errors) == 0:
        return []
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
