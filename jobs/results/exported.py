"""A finished run as other tools take it: each generator's metrics and verdicts, by name."""

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

import pyarrow as pa

from ..audits.likelihood.densities import trusted_estimator
from ..plan.stage import PlanContext
from ..record.run_directory import PROVENANCE_FILE
from ..reduce.schema import SUMMARY
from ..report.summary import Summary
from ..report.verdict import Verdict
from ..spec.named_generator import NamedGenerator, Series
from .context import reduce_context
from .finished_run import require_complete
from .summary_file import read_summary
from .verdicts import judge

_NOTHING = "-"
_NAMED_BY = ("group", "against", "condition", "estimator")


@dataclass(frozen=True)
class ExportedGenerator:
    """A generator, or a checkpoint of a ``training``: its summary's rows and its verdicts.

    ``step`` is the checkpoint's iteration; its place in the series where the iterations are not
    all numbers that ascend; 0 of a generator that is in none. ``file`` is the last part of what it
    was opened from.
    """

    name: str
    training: str
    step: int
    file: str
    rows: Sequence[Mapping[str, Any]]
    verdicts: Sequence[Verdict]

    @property
    def values(self) -> dict[str, float]:
        """The values and the ends of their intervals, as :func:`named_values` names them."""
        return named_values(self.rows)


@dataclass(frozen=True)
class ExportedRun:
    """A finished run: its generators, and ``shared`` rows that are of none of them.

    ``started`` is in seconds since 1970: when the run was begun, or last resumed.
    """

    name: str
    location: str
    version: str
    started: float
    generators: Sequence[ExportedGenerator]
    shared: Sequence[Mapping[str, Any]]

    @property
    def trainings(self) -> dict[str, list[ExportedGenerator]]:
        """The checkpoints of each training in order; one generator where there is no training."""
        found: dict[str, list[ExportedGenerator]] = {}
        for each in self.generators:
            found.setdefault(each.training, []).append(each)
        return found


def exported_run(context: PlanContext) -> ExportedRun:
    """What there is to export of a run. Computes nothing.

    Raises:
        SpecError: the run is not complete, or its summary is not that of its parts.
    """
    require_complete(context)
    table = read_summary(context)
    reduced = reduce_context(context)
    verdicts = judge(reduced, Summary(table, trusted_estimator(reduced.tables)))
    generators = context.spec.each_generator
    provenance: dict[str, Any] = context.run.read_json(PROVENANCE_FILE)
    return ExportedRun(
        context.spec.name,
        context.run.location,
        str(provenance.get("offmanifold")),
        datetime.fromisoformat(provenance["started"]).timestamp(),
        [
            ExportedGenerator(
                each.name,
                each.name if each.series is None else each.series.name,
                step,
                each.opened_from.source.rstrip("/").rpartition("/")[-1],
                _rows(table, each.name),
                verdicts[each.name],
            )
            for each, step in zip(generators, steps_of(generators), strict=True)
        ],
        _rows(table, None),
    )


def named_values(rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Finite values by METRIC/GROUP/AGAINST/CONDITION/ESTIMATOR, ``-`` where a row has none.

    Trailing ``-`` are left off. The ends of intervals are METRIC.low/… and METRIC.high/….
    """
    found = {}
    for row in rows:
        parts = [str(row[key] or _NOTHING) for key in _NAMED_BY]
        while parts and parts[-1] == _NOTHING:
            parts.pop()
        for column, suffix in (("value", ""), ("low", ".low"), ("high", ".high")):
            value = row[column]
            if value is not None and math.isfinite(value):
                found["/".join([row["metric"] + suffix, *parts])] = float(value)
    return found


def steps_of(generators: Sequence[NamedGenerator]) -> list[int]:
    """The step of each; those of one series, in its order, ascend."""
    iterations: dict[str, list[int | str]] = {}
    for each in generators:
        if each.series is not None:
            iterations.setdefault(each.series.name, []).append(each.series.iteration)
    ascending = {name for name, of in iterations.items() if _ascend(of)}
    return [_step(each.series, ascending) for each in generators]


def _step(series: Series | None, ascending: Set[str]) -> int:
    if series is None:
        return 0
    if series.name in ascending and isinstance(series.iteration, int):
        return series.iteration
    return series.position


def _ascend(iterations: Sequence[int | str]) -> bool:
    numbers = [each for each in iterations if isinstance(each, int)]
    return len(numbers) == len(iterations) and all(a < b for a, b in pairwise(numbers))


def _rows(table: pa.Table, generator: str | None) -> list[dict[str, Any]]:
    return list(_of(table.select(SUMMARY.names).to_pylist(), generator))


def _of(rows: Sequence[dict[str, Any]], generator: str | None) -> Iterator[dict[str, Any]]:
    return (row for row in rows if row["generator"] == generator)
