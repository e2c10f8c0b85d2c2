"""The state of a run, at any moment: from one listing a stage, its parts, and the run's log."""

from collections.abc import Iterator
from dataclasses import dataclass

from ...workers.part_file import PartError
from ...workers.schema import TableSchema
from ...workers.shard import part_path
from ..audits import STAGES, stages_of
from ..plan.shards import Shards
from ..record.activity import Workers, recent_rates, workers_alive
from ..record.run_directory import PartFacts, RunDirectory
from ..results.finished_run import replan

_SLOWEST = 3


@dataclass(frozen=True)
class SlowShard:
    """A finished shard that took long: its id, and the seconds of its worker."""

    shard: str
    seconds: float


@dataclass(frozen=True)
class StageStatus:
    """How far a stage is.

    ``done``, ``pending`` and ``failed`` count shards; ``pending`` is None until what the stage
    needs is complete; ``failed`` are those done with quarantined items, of which there are
    ``quarantined``. ``damaged`` and ``unplanned`` name files in its folder that do not count, which
    ``run`` moves aside: parts that are seen to be damaged, which are pending, and what the spec
    does not plan. ``rows_per_second`` is per worker; ``items_per_second`` of all together, and
    ``seconds_left`` at that rate, None where nothing was published in the last quarter of an hour.
    """

    stage: str
    done: int
    pending: int | None
    failed: int
    rows: int
    quarantined: int
    rows_per_second: float | None
    items_per_second: float | None
    seconds_left: float | None
    slowest: list[SlowShard]
    damaged: list[str]
    unplanned: list[str]


@dataclass(frozen=True)
class RunStatus:
    """A whole run: its stages, and the workers that it has now.

    A table of a stage that the spec does not have, and that holds files all the same, is among the
    stages, without any shards.
    """

    stages: list[StageStatus]
    workers: Workers

    @property
    def complete(self) -> bool:
        """Whether every stage has all its parts."""
        return all(stage.pending == 0 for stage in self.stages)


class StatusReader:
    """Reads the status again and again; a part that was read is not read again."""

    def __init__(self, run: RunDirectory) -> None:
        self._run = run
        self._parts: dict[tuple[str, str], PartFacts] = {}

    def read(self) -> RunStatus:
        """The status now.

        Raises:
            SpecError: when the folder is no run directory.
        """
        broken: set[str] = set()
        context = replan(self._run, lambda error: broken.add(error.part))
        rates = recent_rates(self._run.storage)
        asked = {stage.name for stage in stages_of(context.spec)}
        stages = []
        for stage in STAGES:
            planned = context.plans.get(stage.name)
            found = self._stage(
                stage.table,
                planned,
                rates.get(stage.name),
                broken,
                waiting=planned is None and stage.name in asked,
            )
            if stage.name in asked or found.unplanned:
                stages.append(found)
        return RunStatus(stages, workers_alive(self._run.storage))

    def _stage(
        self,
        table: TableSchema,
        shards: Shards | None,
        rate: float | None,
        broken: set[str],
        *,
        waiting: bool,
    ) -> StageStatus:
        """One stage; of one that is ``waiting`` to be planned nothing is known to be unplanned."""
        stage = table.name
        planned = {} if shards is None else dict(shards.sizes)
        contents = self._run.contents(stage, planned.keys())
        # A part that was withdrawn is another one when it comes back.
        for key in [k for k in self._parts if k[0] == stage and k[1] not in contents.finished]:
            del self._parts[key]
        there = [shard for shard in planned if shard in contents.finished]
        unread = [shard for shard in there if (stage, shard) not in self._parts]
        damaged = {shard for shard in there if part_path(stage, shard) in broken}
        for shard, facts in zip(unread, self._run.facts_or_damage(table, unread), strict=True):
            if isinstance(facts, PartError):
                damaged.add(shard)
            else:
                self._parts[stage, shard] = facts
        done = [shard for shard in there if shard not in damaged]
        parts = {shard: self._parts[stage, shard] for shard in done}
        rows = sum(part.rows for part in parts.values())
        seconds = sum(part.seconds for part in parts.values())
        left = sum(planned.values()) - rows
        slowest = sorted(parts, key=lambda shard: parts[shard].seconds, reverse=True)[:_SLOWEST]
        return StageStatus(
            stage=stage,
            done=len(done),
            pending=None if waiting else len(planned) - len(done),
            failed=sum(part.failed > 0 for part in parts.values()),
            rows=rows,
            quarantined=sum(part.failed for part in parts.values()),
            rows_per_second=rows / seconds if seconds else None,
            items_per_second=rate,
            seconds_left=left / rate if rate and planned else None,
            slowest=[SlowShard(shard, parts[shard].seconds) for shard in slowest],
            damaged=[part_path(stage, shard) for shard in sorted(damaged)],
            unplanned=[] if waiting else contents.unplanned,
        )


def run_status(run: RunDirectory) -> RunStatus:
    """The status of a run.

    Raises:
        SpecError: when the folder is no run directory.
    """
    return StatusReader(run).read()


def statuses(run: RunDirectory) -> Iterator[RunStatus]:
    """One status after another, until the run is complete; the reader sets the pace."""
    reader = StatusReader(run)
    while True:
        status = reader.read()
        yield status
        if status.complete:
            return
