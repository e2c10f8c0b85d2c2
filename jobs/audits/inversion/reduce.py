"""Reconstruction: how near the generator's manifold comes to the images of each group."""

from collections.abc import Callable

import numpy as np

from ....core.image_metrics import psnr
from ....core.statistics.bootstrap import Interval
from ....core.statistics.means import mean_interval
from ....core.statistics.medians import median_interval, median_ratio_interval
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.groups import GroupValues, group_values
from ...reduce.schema import NEAREST_CLASS, OWN, SummaryRow, summary_row
from .best_errors import read_best_errors, reduce_search_beaten

GroupRows = Callable[
    [ReduceContext, GeneratorInfo, GroupValues, str | None, np.ndarray], list[SummaryRow]
]


def reduce_reconstruction(context: ReduceContext) -> list[SummaryRow]:
    """Errors and PSNR of every group, and each group's ratio to the generated images."""
    rows = reduce_errors(context, "inversion", "mse", group_rows, "reconstruction_ratio")
    return rows + reduce_search_beaten(context)


def reduce_errors(
    context: ReduceContext, stage: str, column: str, rows_of: GroupRows, ratio_metric: str
) -> list[SummaryRow]:
    """``rows_of`` every group's errors by condition, and its ratio to the generated images.

    The errors are a ``column`` of ``stage``, the inversion's the least known; none where the run
    does not have it.
    """
    if stage == "inversion":
        frame = read_best_errors(context.tables)
    else:
        frame = context.tables.read(stage, [column])
    if frame is None:
        return []
    rows = []
    for generator in context.generators:
        groups = group_values(context, frame, column, generator)
        for values in groups.values():
            for condition, errors in reconstruction_errors(values).items():
                if len(errors):
                    rows += rows_of(context, generator, values, condition, errors)
        for reference in context.with_role("generated"):
            if reference.name in groups:
                rows += ratio_rows(generator, groups, groups[reference.name], ratio_metric)
    return rows


def reconstruction_errors(values: GroupValues) -> dict[str | None, np.ndarray]:
    """Errors of reconstruction by condition: own and, with every class, the nearest class's."""
    return {
        condition: values.over_classes(lambda rows: rows.min(axis=1))
        if condition == NEAREST_CLASS
        else values.own_values()
        for condition in reconstruction_conditions(values)
    }


def reconstruction_conditions(values: GroupValues) -> list[str | None]:
    """Under which conditions a group's errors can be described; None for no condition at all."""
    if not values.conditional:
        return [None]
    return [OWN, NEAREST_CLASS] if values.has_every_class else [OWN]


def median(values: np.ndarray) -> np.ndarray:
    """Median over the last axis."""
    return np.asarray(np.median(values, axis=-1))


def failed_images(values: GroupValues, errors: np.ndarray) -> int:
    """How many of the group's images are not among these errors."""
    return len(values.image_id) - len(errors)


def psnr_of_mean(errors: np.ndarray, seed: int, resamples: int) -> Interval:
    """PSNR of the mean of the mean squared errors, dB."""
    average = mean_interval(errors, seed, resamples=resamples)
    value, high, low = psnr(np.array([average.value, average.low, average.high])).tolist()
    return Interval(value, low, high, average.n)


def mean_psnr(errors: np.ndarray, seed: int, resamples: int) -> Interval:
    """Mean of the PSNRs, dB; infinite, without an interval, where an error is 0."""
    ratios = psnr(errors)
    if not np.isfinite(ratios).all():
        return Interval(np.inf, np.nan, np.nan, len(errors))
    return mean_interval(ratios, seed, resamples=resamples)


def group_rows(
    context: ReduceContext,
    generator: GeneratorInfo,
    values: GroupValues,
    condition: str | None,
    errors: np.ndarray,
) -> list[SummaryRow]:
    """Mean and median squared error of a group under a condition, and both PSNRs."""
    seed = context.seed_of("reconstruction", generator.name, values.group.name, condition)
    average = mean_interval(errors, seed, resamples=context.resamples)
    middle = median_interval(errors, failed=failed_images(values, errors))
    return [
        summary_row(
            metric,
            interval,
            generator=generator.name,
            condition=condition,
            group=values.group.name,
        )
        for metric, interval in (
            ("reconstruction_mse_mean", average),
            ("reconstruction_mse_median", middle),
            ("psnr_of_mean_mse", psnr_of_mean(errors, seed, context.resamples)),
            ("psnr_mean", mean_psnr(errors, seed, context.resamples)),
        )
    ]


def ratio_rows(
    generator: GeneratorInfo,
    groups: dict[str, GroupValues],
    reference: GroupValues,
    metric: str,
) -> list[SummaryRow]:
    """Each group's median error over that of the reference group, under each condition."""
    rows = []
    control = reconstruction_errors(reference)
    for values in groups.values():
        if values.group.name == reference.group.name:
            continue
        for condition, errors in reconstruction_errors(values).items():
            against = control.get(condition)
            if against is None or min(len(errors), len(against)) == 0:
                continue
            rows.append(
                summary_row(
                    metric,
                    median_ratio_interval(
                        errors,
                        against,
                        failed_first=failed_images(values, errors),
                        failed_second=failed_images(reference, against),
                    ),
                    generator=generator.name,
                    condition=condition,
                    group=values.group.name,
                    against=reference.group.name,
                )
            )
    return rows
