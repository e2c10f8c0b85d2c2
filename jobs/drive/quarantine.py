"""What failed in a run, and why: the quarantined items, gathered by their error."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ...workers.schema import STATUS_OK
from ...workers.shard_rows import tracebacks_of
from ..audits import stages_of
from ..record.run_directory import RunDirectory
from ..results.finished_run import replan
from ..spec.loading import SpecError

_KEYS = ("generator", "condition", "group", "image_id", "label", "status", "error")


@dataclass(frozen=True)
class FailedItem:
    """A row whose item has no values: its keys, its error, and where in the code it came up."""

    stage: str
    shard: str
    keys: dict[str, Any]
    traceback: str | None


def failed_items(run: RunDirectory, stage: str | None = None) -> Iterator[FailedItem]:
    """Every quarantined item of a run, or of one stage, in the order of stages and parts.

    Raises:
        SpecError: no run directory, or a stage that the run has not.
        PartError: a part that is damaged.
    """
    context = replan(run)
    tables = {each.name: each.table for each in stages_of(context.spec)}
    if stage is not None and stage not in tables:
        raise SpecError(f"--stage {stage}: this run has the stages {', '.join(tables)}")
    for name in tables if stage is None else [stage]:
        planned = context.plans.get(name)
        shards = [] if planned is None else sorted(run.finished(name).intersection(planned.ids))
        for shard, part in zip(shards, run.each_part(tables[name], shards, _KEYS), strict=True):
            tracebacks = tracebacks_of(part)
            for position, row in enumerate(part.to_pylist()):
                if row["status"] != STATUS_OK:
                    yield FailedItem(name, shard, row, tracebacks.get(position))
