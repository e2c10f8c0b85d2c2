"""The observation variances, and which training images they were fitted to."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ....core.statistics.interval import Interval
from ....core.statistics.two_sample import NO_SHIFT, Shift
from ....core.statistics.typicality import variance_shift
from ....workers.variance import DATA
from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.emitter import emitter
from ...reduce.groups import GroupValues, group_values
from ...reduce.schema import SummaryRow
from ...reduce.tables import succeeded

_COLUMNS = ("variance", "low", "high", "log_standard_error", "degrees", "n", "fitted")


@dataclass(frozen=True)
class ObservationVariance:
    """A variance with its interval, and how its error moves densities against the model's own.

    ``log_standard_error`` is that of its logarithm, ``degrees`` the latent's effective degrees of
    freedom at it, ``fitted`` the images that it was fitted to.
    """

    interval: Interval
    shift: Shift
    log_standard_error: float
    degrees: float
    fitted: frozenset[str]


def read_variance(
    context: ReduceContext, generator: GeneratorInfo, stage: str = "variance", group: str = DATA
) -> ObservationVariance | None:
    """The variance that a stage found for a group's images; None where it found none."""
    frame = context.tables.read(stage, _COLUMNS)
    if frame is None:
        return None
    good = succeeded(frame)
    mine = good[(good["generator"] == generator.name) & (good["group"] == group)]
    return None if mine.empty else _variance(mine.to_dict("records")[0], generator)


def _variance(row: Mapping[Any, Any], generator: GeneratorInfo) -> ObservationVariance:
    if np.isnan(row["n"]):
        given = Interval(row["variance"], np.nan, np.nan, 0)
        return ObservationVariance(given, NO_SHIFT, 0.0, 0.0, frozenset())
    degrees = 0.0 if np.isnan(row["degrees"]) else row["degrees"]
    images = int(row["n"])
    # One image does not say how far it is off.
    error = 0.0 if images == 1 else row["log_standard_error"]
    return ObservationVariance(
        Interval(row["variance"], row["low"], row["high"], images),
        variance_shift(generator.dimensions, degrees, error, images),
        error,
        degrees,
        frozenset(row["fitted"]),
    )


def judged_groups(
    context: ReduceContext, frame: pd.DataFrame, column: str, generator: GeneratorInfo
) -> dict[str, GroupValues]:
    """As `group_values`, without the training images that the variance was fitted to.

    What densities say of these would be said of the fit. With ``fit: all``, the papers' way, there
    are no others.
    """
    groups = group_values(context, frame, column, generator)
    variance = read_variance(context, generator)
    if variance is None:
        return groups
    for name, values in groups.items():
        others = values.without(variance.fitted)
        if values.group.role == "train" and len(others.image_id):
            groups[name] = others
    return groups


def reduce_variance(context: ReduceContext) -> list[SummaryRow]:
    """The data's variance, that of the generator's own stored images, and the null audit's."""
    rows = []
    for generator in context.generators:
        found: list[tuple[str, str | None, ObservationVariance | None]] = [
            ("variance", None, read_variance(context, generator))
        ]
        found += [
            ("variance_control", group.name, read_variance(context, generator, group=group.name))
            for group in context.with_role("generated")
        ]
        if context.null is not None:
            null = read_variance(context, generator, "null_variance", context.null)
            found.append(("variance_null", context.null, null))
        rows += [
            emitter(context, generator=generator.name, group=group).row(metric, variance.interval)
            for metric, group, variance in found
            if variance is not None
        ]
    return rows
