"""Reconstruction: how near the generator's manifold comes to the images of each group."""

from collections.abc import Callable

import numpy as np
import pandas as pd

from ....core.image_metrics import psnr
from ....core.statistics.interval import Interval
from ....core.statistics.medians import median_ratio_interval
from ...reduce.context import ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.groups import GroupValues, group_values
from ...reduce.schema import NEAREST_CLASS, OWN, SummaryRow
from .best_errors import read_best_errors, search_beaten_rows

# An error of exactly 0 has no logarithm; nothing that is measured in float32 is below this.
SMALLEST_ERROR = 1e-12

# Rows of a group's values, of which these are the errors that succeeded under a condition.
GroupRows = Callable[[Emitter, GroupValues, np.ndarray], list[SummaryRow]]


def reduce_reconstruction(context: ReduceContext) -> list[SummaryRow]:
    """Errors and PSNR of every group, and each group's ratio to the generated images."""
    frame = read_best_errors(context.tables)
    if frame is None:
        return []
    rows = reduce_errors(context, frame, "mse", group_rows, "reconstruction_ratio")
    return rows + search_beaten_rows(context, frame)


def reduce_errors(
    context: ReduceContext, frame: pd.DataFrame, column: str, rows_of: GroupRows, ratio_metric: str
) -> list[SummaryRow]:
    """``rows_of`` every group's errors by condition, and its ratio to the generated images.

    The errors are a ``column`` of ``frame``.
    """
    rows = []
    for generator in context.generators:
        emit = emitter(context, generator=generator.name)
        groups = group_values(context, frame, column, generator)
        for name, values in groups.items():
            for condition, errors in reconstruction_errors(values).items():
                if len(errors):
                    rows += rows_of(emit.at(condition=condition, group=name), values, errors)
        for reference in context.with_role("generated"):
            if reference.name in groups:
                rows += ratio_rows(emit, groups, groups[reference.name], ratio_metric)
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
    if not values.has_own_class:
        return [NEAREST_CLASS]
    return [OWN, NEAREST_CLASS] if values.has_every_class else [OWN]


def median(values: np.ndarray) -> np.ndarray:
    """Median over the last axis."""
    return np.asarray(np.median(values, axis=-1))


def failed_images(values: GroupValues, errors: np.ndarray) -> int:
    """How many of the group's images are not among these errors."""
    return len(values.image_id) - len(errors)


def mean_error(emit: Emitter, errors: np.ndarray) -> Interval:
    """Mean of the mean squared errors; where few vary much its interval would end below 0."""
    average = emit.mean(errors)
    low, high = np.maximum([average.low, average.high], 0.0).tolist()
    return Interval(average.value, low, high, average.n)


def psnr_of_mean(emit: Emitter, errors: np.ndarray) -> Interval:
    """PSNR of the mean of the mean squared errors, dB."""
    average = mean_error(emit, errors)
    value, high, low = psnr(np.array([average.value, average.low, average.high])).tolist()
    return Interval(value, low, high, average.n)


def mean_psnr(emit: Emitter, errors: np.ndarray) -> Interval:
    """Mean of the PSNRs, dB; infinite, without an interval, where an error is 0."""
    ratios = psnr(errors)
    if not np.isfinite(ratios).all():
        return Interval(np.inf, np.nan, np.nan, len(errors))
    return emit.mean(ratios)


def group_rows(emit: Emitter, values: GroupValues, errors: np.ndarray) -> list[SummaryRow]:
    """Mean and median squared error of a group under a condition, and both PSNRs."""
    emit = emit.seeded("reconstruction", emit.keys["condition"])
    return [
        emit.row("reconstruction_mse_mean", mean_error(emit, errors)),
        emit.median_row("reconstruction_mse_median", errors, failed_images(values, errors)),
        emit.row("psnr_of_mean_mse", psnr_of_mean(emit, errors)),
        emit.row("psnr_mean", mean_psnr(emit, errors)),
    ]


def ratio_rows(
    emit: Emitter, groups: dict[str, GroupValues], reference: GroupValues, metric: str
) -> list[SummaryRow]:
    """Each group's median error over that of the reference group, under each condition."""
    rows = []
    control = reconstruction_errors(reference)
    for name, values in groups.items():
        if name == reference.group.name:
            continue
        for condition, errors in reconstruction_errors(values).items():
            against = control.get(condition)
            if against is None or min(len(errors), len(against)) == 0:
                continue
            ratio = median_ratio_interval(
                errors,
                against,
                failed_first=failed_images(values, errors),
                failed_second=failed_images(reference, against),
            )
            keyed = emit.at(condition=condition, group=name, against=reference.group.name)
            rows.append(keyed.row(metric, ratio))
    return rows
