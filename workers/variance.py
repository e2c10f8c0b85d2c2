"""The stages ``variance`` and ``null_variance``: the observation variance sigma^2 on [0, 1]."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..core.observation_variance import (
    FittedVariance,
    fit_variance,
    leaves_nothing,
    profile_variance,
)
from .inversion import INVERSION_TABLE
from .outcome import Failure, Outcome
from .part_file import read_columns_of_parts
from .resources import Resources
from .revisions import Computation, never
from .schema import STATUS_OK, Columns, ListColumn, TableSchema
from .shard import Item
from .variance_fit import NULL_FIT_TABLE, VARIANCE_FIT_TABLE

GIVEN = Computation("offmanifold.workers.variance:compute", "variance", 1, never)
MARGINAL = Computation("offmanifold.workers.variance:compute", "variance.marginal", 1, never)
PROFILE = Computation("offmanifold.workers.variance:compute", "variance.profile", 1, never)
# The estimators as settings name them.
ESTIMATORS: Mapping[str, Computation] = {"marginal": MARGINAL, "profile": PROFILE}

# One row a generator and group (train: the data): variance is sigma^2 on [0, 1] from the n images
# whose ids are fitted, by the marginal or the profile estimator, or as given; low and high are its
# 95% interval over images, log_standard_error is that of its logarithm, degrees the mean effective
# degrees of freedom at it. The generator's own images may come back to the last digit: their
# variance is then 0, and high the least that could have been told from it.
_COLUMNS: Columns = (
    ("estimator", pa.string()),
    ("variance", pa.float64()),
    ("low", pa.float64()),
    ("high", pa.float64()),
    ("log_standard_error", pa.float64()),
    ("degrees", pa.float64()),
    ("n", pa.int32()),
    ("fitted", pa.list_(pa.string())),
)
_FITTED = (ListColumn("fitted", ("setting:images",), optional=True),)
VARIANCE_TABLE = TableSchema("variance", 3, _COLUMNS, always=("variance",), lists=_FITTED)
NULL_VARIANCE_TABLE = TableSchema("null_variance", 1, _COLUMNS, always=("variance",), lists=_FITTED)

_SOURCES = {table.name: table for table in (INVERSION_TABLE, VARIANCE_FIT_TABLE, NULL_FIT_TABLE)}

# The group that the rows of the data's variance bear, whatever the spec's groups are called.
DATA = "train"
_CURVES = ("variances", "squared_residual", "degrees")


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """One row a fit: a given value, or the one that a group's reconstructions make most likely.

    The marginal estimate rests on the images' curves (`core.observation_variance`), the profile one
    on their mean squared errors [IP B.3]; each image under its own condition.
    """
    if settings["value"] is not None:
        return [{"estimator": "given", "variance": settings["value"]} for _ in items]
    return [_fit(item, settings, resources) for item in items]


def _fit(item: Item, settings: Mapping[str, Any], resources: Resources) -> Outcome:
    marginal = settings["estimator"] == "marginal"
    columns = _CURVES if marginal else ("mse",)
    rows = _rows(item, settings, resources, columns)
    try:
        fitted = _marginal(rows, settings, item) if marginal else _profile(rows)
    except ValueError as error:
        return Failure(f"{item.group} under {item.generator}: {error}")
    return {
        "estimator": settings["estimator"],
        "variance": fitted.variance,
        "low": fitted.low,
        "high": fitted.high,
        "log_standard_error": fitted.log_standard_error,
        "degrees": fitted.degrees if marginal else None,
        "n": fitted.n,
        "fitted": [image_id for image_id, _ in settings["images"]],
    }


def _rows(
    item: Item, settings: Mapping[str, Any], resources: Resources, columns: Sequence[str]
) -> list[dict[str, Any]]:
    """The fit's images that did not fail, in the order of the settings."""
    wanted = {tuple(key): position for position, key in enumerate(settings["images"])}
    keys = ["generator", "image_id", "condition", "status"]
    found = {}
    for part in read_columns_of_parts(
        resources.storage, _SOURCES[settings["source"]], settings["parts"], [*keys, *columns]
    ):
        for row in part.to_pylist():
            position = wanted.get((row["image_id"], row["condition"]))
            mine = row["generator"] == item.generator and row["status"] == STATUS_OK
            if mine and position is not None:
                found[position] = row
    return [found[position] for position in sorted(found)]


def _marginal(
    rows: list[dict[str, Any]], settings: Mapping[str, Any], item: Item
) -> FittedVariance:
    if not rows:
        raise ValueError("no image was inverted: there is no variance to fit")
    variances, residual, degrees = (
        np.array([row[name] for row in rows], np.float64) for name in _CURVES
    )
    curves = (variances[0], residual, degrees, settings["dimensions"])
    # The null's images have noise, and the data's variance is what densities are about.
    is_control = settings["source"] == VARIANCE_FIT_TABLE.name and item.group != DATA
    if is_control and leaves_nothing(*curves):
        least, freedom = float(variances[0, 0]), float(degrees[:, 0].mean())
        return FittedVariance(0.0, 0.0, least, math.nan, freedom, len(rows))
    return fit_variance(*curves)


def _profile(rows: list[dict[str, Any]]) -> FittedVariance:
    return profile_variance(np.array([row["mse"] for row in rows], np.float64))
