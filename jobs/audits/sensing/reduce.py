"""Compressed sensing: how well each group is restored, beside an oracle and a Gaussian prior."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ....core.image_metrics import psnr
from ...reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from ...reduce.emitter import Emitter, emitter
from ...reduce.groups import own_condition
from ...reduce.schema import SummaryRow
from ...reduce.tables import succeeded
from ..inversion.reduce import mean_psnr, psnr_of_mean
from .metrics import SENSING_RESTORERS

_KEY = "m = "


@dataclass(frozen=True)
class SensedGroup:
    """A group's rows at one number of measurements, in the order of the images' ids."""

    group: GroupInfo
    measurements: int
    rows: pd.DataFrame

    @property
    def against(self) -> str:
        """What the summary's column ``against`` says."""
        return measurements_key(self.measurements)

    def errors(self, restorer: str) -> np.ndarray:
        """Mean squared errors of the generator's restorations, the oracle's or the baseline's."""
        column = {"": "mse", "ppca_": "ppca_mse"}.get(restorer)
        if column is not None:
            return self.rows[column].to_numpy(np.float64)
        errors: np.ndarray = 10 ** (-self.rows["oracle_psnr"].to_numpy(np.float64) / 10)
        return errors


def measurements_key(measurements: int) -> str:
    """A number of measurements as the summary's column ``against`` has it."""
    return f"{_KEY}{measurements}"


def measurements_of(against: str) -> int:
    """The number of measurements that :func:`measurements_key` wrote."""
    return int(against.removeprefix(_KEY))


def sensed_groups(
    context: ReduceContext, generator: GeneratorInfo, *columns: str
) -> list[SensedGroup]:
    """The groups in the order of the spec, each at every number of measurements, ascending."""
    wanted = ["mse", "oracle_psnr", "ppca_mse", *columns]
    frame = context.tables.read("sensing", wanted)
    if frame is None:
        return []
    # Rows that failed have no number of measurements, which makes the column one of floats.
    frame = succeeded(frame).astype({"measurements": np.int64})
    mine = frame[frame["generator"] == generator.name].sort_values("image_id")
    return [
        SensedGroup(group, int(str(measurements)), rows)
        for group in context.groups
        for measurements, rows in mine[mine["group"] == group.name].groupby("measurements")
    ]


def reduce_sensing(context: ReduceContext) -> list[SummaryRow]:
    """PSNR of every group at every number of measurements, and the paired differences.

    ``against`` says the number of measurements, ``m = 64``.
    """
    rows: list[SummaryRow] = []
    for generator in context.generators:
        emit = emitter(context, generator=generator.name, condition=own_condition(generator))
        for sensed in sensed_groups(context, generator):
            keyed = emit.at(group=sensed.group.name, against=sensed.against)
            rows += _rows(keyed.seeded("sensing", sensed.measurements), sensed)
    return rows


def _rows(emit: Emitter, sensed: SensedGroup) -> Iterator[SummaryRow]:
    for restorer in SENSING_RESTORERS:
        errors = sensed.errors(restorer)
        yield emit.row(f"sensing_{restorer}psnr_mean", mean_psnr(emit, errors))
        yield emit.row(f"sensing_{restorer}psnr_of_mean_mse", psnr_of_mean(emit, errors))
    difference = psnr(sensed.errors("")) - psnr(sensed.errors("ppca_"))
    if np.isfinite(difference).all():
        yield emit.mean_row("sensing_psnr_difference", difference)
