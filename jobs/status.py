"""The state of a run on disk, at any moment, from one listing a stage."""

from dataclasses import dataclass

from .driver import replan
from .run_directory import RunDirectory
from .stages.registry import stages_of


@dataclass(frozen=True)
class StageStatus:
    """How far a stage is. ``pending`` is None until what the stage needs is complete.

    ``done`` and ``pending`` count shards; ``rows_per_second`` is per worker.
    """

    stage: str
    done: int
    pending: int | None
    rows: int
    quarantined: int
    rows_per_second: float | None


def run_status(run: RunDirectory) -> list[StageStatus]:
    """The status of every stage that the run's spec asks for.

    Raises:
        SpecError: when the folder is no run directory.
    """
    context = replan(run)
    return [
        _stage_status(run, stage.name, [shard.id for shard in context.plans.get(stage.name, [])])
        for stage in stages_of(context.spec)
    ]


def _stage_status(run: RunDirectory, stage: str, planned: list[str]) -> StageStatus:
    finished = run.finished(stage)
    done = [shard for shard in planned if shard in finished]
    parts = [run.part_facts(stage, shard) for shard in done]
    rows, seconds = sum(part.rows for part in parts), sum(part.seconds for part in parts)
    return StageStatus(
        stage=stage,
        done=len(done),
        pending=len(planned) - len(done) if planned else None,
        rows=rows,
        quarantined=sum(part.failed for part in parts),
        rows_per_second=rows / seconds if seconds else None,
    )
