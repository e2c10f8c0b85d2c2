"""Numbers of every computation as they were recorded, and whether they are the same today."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from offmanifold.jobs.audits import STAGES
from offmanifold.jobs.plan.stage import PlanContext
from offmanifold.workers.revisions import Computation
from offmanifold.workers.schema import KEY_COLUMNS

from ..registered import TABLES

RECORDED = Path(__file__).parent / "recorded" / "revisions.json"
COMMAND = "python -m tests.jobs.record_revisions"

# Of a column's root mean square. Other processors add in another order and have other kernels: with
# the libraries held to older instruction sets, or to two threads, one number here, the variance's
# standard error, moved by 2.2e-4 of it and no other by more than 6e-5. This is some five times
# that, since there are processors that were not tried, and far below what another formula, constant
# or random stream does.
TOLERANCE = 1e-3

# Columns whose numbers are right with either sign.
_SIGNLESS = {"pca.components", "ppca.components"}


@dataclass(frozen=True)
class Recorded:
    """A computation's revision, and numbers of its rows by table and column.

    Of each column: how many numbers it has over all rows, their root mean square, their mean, and
    the first, the middle and the last of them. ``rests_on`` are computations whose results it may
    begin with; it is not recorded.
    """

    revision: int
    numbers: Mapping[str, list[float]]
    rests_on: frozenset[str] = frozenset()


def computations_of(runs: Iterable[PlanContext]) -> dict[str, Recorded]:
    """What finished runs computed, by the computations' names; of each, the first that has it."""
    found: dict[str, Recorded] = {}
    for context in runs:
        parts = _parts(context)
        numbers: dict[Computation, dict[str, list[float]]] = {}
        first: dict[Computation, str] = {}
        for (computation, stage), ids in parts.items():
            if computation.name not in found:
                table = context.run.read(TABLES[stage], ids, TABLES[stage].arrow.names)
                numbers.setdefault(computation, {}).update(_numbers(stage, table))
                first.setdefault(computation, stage)
        for computation, own in numbers.items():
            needed = _needed(first[computation])
            rests_on = {other.name for other, stage in parts if stage in needed}
            found[computation.name] = Recorded(
                computation.revision, own, frozenset(rests_on - {computation.name})
            )
    return found


def _needed(stage: str) -> set[str]:
    """The stages that a stage needs, and those that these need."""
    needs = {each.name: each.needs for each in STAGES}
    direct = set(needs[stage])
    return direct.union(*(_needed(name) for name in direct))


def _parts(context: PlanContext) -> dict[tuple[Computation, str], list[str]]:
    """The ids of the shards of each computation and stage."""
    parts: dict[tuple[Computation, str], list[str]] = {}
    for stage, shards in context.plans.items():
        for shard_id, shard in shards.with_ids():
            parts.setdefault((shard.computation, stage), []).append(shard_id)
    return parts


def _numbers(stage: str, table: pa.Table) -> dict[str, list[float]]:
    found = {}
    for name in table.column_names:
        values: Any = table[name]
        if pa.types.is_list(values.type):
            values = pc.list_flatten(values)
        numeric = pa.types.is_floating(values.type) or pa.types.is_integer(values.type)
        values = values.drop_null()
        if numeric and name not in KEY_COLUMNS and len(values):
            column = f"{stage}.{name}"
            array = values.to_numpy().astype(np.float64)
            found[column] = _summary(np.abs(array) if column in _SIGNLESS else array)
    return found


def _summary(values: npt.NDArray[np.float64]) -> list[float]:
    of = [
        len(values),
        np.sqrt(np.mean(np.square(values))),
        values.mean(),
        values[0],
        values[len(values) // 2],
        values[-1],
    ]
    return [float(f"{number:.9g}") for number in of]


def read() -> dict[str, Recorded]:
    """What was recorded."""
    content = json.loads(RECORDED.read_text())
    return {name: Recorded(**found) for name, found in content.items()}


def write(found: Mapping[str, Recorded]) -> None:
    """Records what was found; the file differs where the numbers do, a line a column."""
    entries = []
    for name, computation in sorted(found.items()):
        columns = [
            f"   {json.dumps(column)}: {json.dumps(values)}"
            for column, values in sorted(computation.numbers.items())
        ]
        entries.append(
            f' {json.dumps(name)}: {{\n  "revision": {computation.revision},\n  "numbers": {{\n'
            + ",\n".join(columns)
            + "\n  }\n }"
        )
    RECORDED.parent.mkdir(exist_ok=True)
    RECORDED.write_text("{\n" + ",\n".join(entries) + "\n}\n")


def complaints(
    recorded: Mapping[str, Recorded], found: Mapping[str, Recorded], known: Iterable[str]
) -> list[str]:
    """What is to be done about every computation that is not as recorded; nothing if all are.

    Args:
        recorded: by name.
        found: by name.
        known: the computations that the stages name.
    """
    changed = {
        name: columns
        for name in found.keys() & recorded.keys()
        if (columns := _changed(recorded[name].numbers, found[name].numbers))
    }
    return [
        complaint
        for name in sorted({*recorded, *found, *known})
        if (complaint := _complaint(name, recorded.get(name), found.get(name), changed))
    ] + [
        f"{name} is computed for a stage that does not name it: add it to the stage's computations"
        for name in sorted(found.keys() - set(known))
    ]


def _complaint(
    name: str,
    recorded: Recorded | None,
    found: Recorded | None,
    changed: Mapping[str, list[str]],
) -> str | None:
    if found is None:
        return (
            f"{name} is not computed by the tiny run: give it a stage in tests/jobs/tiny_run.py, "
            f"or remove it from its stage's computations, and record with `{COMMAND}`"
        )
    if recorded is None:
        return f"{name} was never recorded: record it with `{COMMAND}`"
    if recorded.revision != found.revision:
        return (
            f"the revision of {name} is {found.revision}, and {recorded.revision} was recorded: "
            f"record its numbers anew with `{COMMAND}`"
        )
    if name not in changed:
        others = sorted(recorded.numbers.keys() ^ found.numbers.keys())
        if not others:
            return None
        return (
            f"{name} has other columns: {', '.join(others)}: raise the version of their table in "
            f"workers/ and record them with `{COMMAND}`"
        )
    columns = "; ".join(changed[name])
    if before := sorted(found.rests_on & changed.keys()):
        return (
            f"the numbers of {name} changed, as did those of {', '.join(before)}, which it rests "
            f"on: raise the revision of {name} only if its own algorithm changed too, and record "
            f"them anew with `{COMMAND}` ({columns})"
        )
    return (
        f"the numbers of {name} changed: raise the revision of {name} in workers/ "
        f"and record them anew with `{COMMAND}` ({columns})"
    )


def _changed(recorded: Mapping[str, list[float]], found: Mapping[str, list[float]]) -> list[str]:
    """The columns whose numbers differ, each with how far."""
    changed = []
    for column in sorted(recorded.keys() & found.keys()):
        (count, scale, *before), (count_now, scale_now, *now) = recorded[column], found[column]
        if count != count_now:
            changed.append(f"{column} has {count_now:.0f} numbers, not {count:.0f}")
            continue
        away = np.abs(np.array([scale_now, *now]) - np.array([scale, *before])).max()
        if not away <= TOLERANCE * scale:
            changed.append(f"{column} by {away / scale if scale else away:.2g}")
    return changed
