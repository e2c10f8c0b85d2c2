"""What is another in this version than in the one that wrote a run."""

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from ...workers.command_lines import resuming
from ..audits import stages_of
from ..plan.stage import PlanContext, Stage
from ..record.run_directory import RunDirectory
from ..record.versions import Versions, recorded_versions
from ..spec.loading import SpecError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Change:
    """What is another in this version: a computation's revision, or the schema of a stage's table.

    ``computation`` is None for the table.
    """

    stage: str
    computation: str | None
    recorded: int
    here: int

    def __str__(self) -> str:
        """For people."""
        what = (
            f"the schema of table {self.stage}"
            if self.computation is None
            else f"the revision of {self.computation} (stage {self.stage})"
        )
        return f"{what} is {self.recorded} there and {self.here} here"


def revision_changes(recorded: Versions, stages: Iterable[Stage]) -> list[Change]:
    """The computations of those stages whose revisions are others than the recorded ones."""
    return [
        Change(stage.name, each.name, before, each.revision)
        for stage in stages
        for each in stage.computations
        if (before := recorded.revisions.get(each.name, each.revision)) != each.revision
    ]


def schema_changes(recorded: Versions, stages: Iterable[Stage]) -> list[Change]:
    """The tables of those stages whose columns are others than the recorded ones."""
    return [
        Change(stage.name, None, before, stage.table.version)
        for stage in stages
        if (before := recorded.schemas.get(stage.name, stage.table.version)) != stage.table.version
    ]


def refuse_other_schemas(run: RunDirectory, recorded: Versions, stages: Iterable[Stage]) -> None:
    """Checks that this version can read the tables of those stages.

    Raises:
        SpecError: naming the version that can.
    """
    changes = schema_changes(recorded, stages)
    if changes:
        raise SpecError(
            f"{run.location}: was written by {recorded.package}, and this version cannot read its "
            f"tables: {listed_changes(changes)}. Read it with {recorded.package}; "
            f"`{resuming(run.location)}` computes with this version what "
            "changed"
        )


def say_older(context: PlanContext) -> None:
    """Warns of a run that is read as another version computed it."""
    recorded = recorded_versions(context.run)
    changes = [
        change
        for change in revision_changes(recorded, stages_of(context.spec))
        if any(
            shard.computation.name == change.computation for shard in context.plans[change.stage]
        )
    ]
    if changes:
        logger.warning(
            "%s: its rows are those of %s: %s. They are read as they are; `run` would compute them "
            "again",
            context.run.location,
            recorded.package,
            listed_changes(changes),
        )


def listed_changes(changes: Iterable[Change]) -> str:
    """All of them, for people."""
    return "; ".join(str(change) for change in changes)
