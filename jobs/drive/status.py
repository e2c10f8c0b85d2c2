"""The state of a run, at any moment: from one listing a stage, its parts, and the run's log."""

from collections.abc import Iterator
from dataclasses import dataclass

from ...workers.schema import TableSchema
from ..audits import stages_of
from ..record.activity import Workers, recent_rates, workers_alive
from ..record.run_directory import PartFacts, RunDirectory
from .driver import replan

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
    ``quarantined``. ``rows_per_second`` is per worker; ``items_per_second`` of all together, and
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


@dataclass(frozen=True)
class RunStatus:
    """A whole run: its stages, and the workers that it has now."""

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
        context = replan(self._run)
        rates = recent_rates(self._run.storage)
        stages = []
        for stage in stages_of(context.spec):
            planned = context.plans.get(stage.name)
            sizes = {} if planned is None else dict(planned.sizes)
            stages.append(self._stage(stage.table, sizes, rates.get(stage.name)))
        return RunStatus(stages, workers_alive(self._run.storage))

    def _stage(
        self, table: TableSchema, planned: dict[str, int], rate: float | None
    ) -> StageStatus:
        stage = table.name
        finished = self._run.finished(stage)
        # A part that was withdrawn is another one when it comes back.
        for key in [key for key in self._parts if key[0] == stage and key[1] not in finished]:
            del self._parts[key]
        done = [shard for shard in planned if shard in finished]
        unread = [shard for shard in done if (stage, shard) not in self._parts]
        for shard, facts in zip(unread, self._run.part_facts(table, unread), strict=True):
            self._parts[stage, shard] = facts
        parts = {shard: self._parts[stage, shard] for shard in done}
        rows = sum(part.rows for part in parts.values())
        seconds = sum(part.seconds for part in parts.values())
        left = sum(planned.values()) - rows
        slowest = sorted(parts, key=lambda shard: parts[shard].seconds, reverse=True)[:_SLOWEST]
        return StageStatus(
            stage=stage,
            done=len(done),
            pending=len(planned) - len(done) if planned else None,
            failed=sum(part.failed > 0 for part in parts.values()),
            rows=rows,
            quarantined=sum(part.failed for part in parts.values()),
            rows_per_second=rows / seconds if seconds else None,
            items_per_second=rate,
            seconds_left=left / rate if rate and planned else None,
            slowest=[SlowShard(shard, parts[shard].seconds) for shard in slowest],
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
