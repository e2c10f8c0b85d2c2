"""What a driver says of a run that another version wrote: what changed, and what that costs."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from ...workers.part_file import PartError
from ..audits import stages_of
from ..plan.stage import Stage, StageError
from ..record.run_directory import PROVENANCE_FILE, RunDirectory
from ..record.versions import recorded_versions
from ..results.changes import Change, listed_changes, revision_changes, schema_changes
from ..results.finished_run import plan_as_recorded
from ..spec.audit import AuditSpec
from ..spec.loading import SpecError

logger = logging.getLogger(__name__)


@dataclass
class _Cost:
    """Finished parts that are computed again, and what it is known of them that they took."""

    parts: int = 0
    rows: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        """For people."""
        return (
            f"{self.parts} finished parts are computed again ({self.rows} of their rows can be "
            f"counted, which took one worker {self.seconds:.0f} s)"
        )


def announce_upgrade(run: RunDirectory, spec: AuditSpec) -> None:
    """Says, before a driver goes on with a run of another version, what is computed again.

    Args:
        run: the run, before the driver has written anything into it.
        spec: what it goes on with.
    """
    if not run.storage.exists(PROVENANCE_FILE):
        return
    try:
        recorded = recorded_versions(run)
        stages = stages_of(spec)
        changes = revision_changes(recorded, stages) + schema_changes(recorded, stages)
        if not changes:
            return
        told = _told(run, stages, changes)
    except (SpecError, StageError) as error:
        # What is wrong with the record ends the run, or the driver writes it again.
        logger.warning("what another version computed otherwise cannot be told: %s", error)
        return
    if told is not None:
        logger.warning(
            "%s was written by %s, and this version computes otherwise: %s. Parts that are "
            "replaced are kept in _superseded; interrupt the run to keep it as it is",
            run.location,
            recorded.package,
            told,
        )


def _told(run: RunDirectory, stages: list[Stage], changes: list[Change]) -> str | None:
    """The changes that touch finished parts, and how many; None where they touch none."""
    old = plan_as_recorded(run, lambda _: None)
    cost = _Cost()
    found: list[Change] = []
    for stage in stages:
        shards = old.plans.get(stage.name)
        here = {change.computation: change for change in changes if change.stage == stage.name}
        if shards is None or not here:
            continue
        finished = run.finished(stage.name)
        touched: list[str] = []
        met: set[str | None] = set()
        for shard_id, shard in shards.with_ids():
            by = {None, shard.computation.name} & here.keys()
            if by and shard_id in finished:
                touched.append(shard_id)
                met |= by
        found += [change for name, change in here.items() if name in met]
        cost.parts += len(touched)
        # Where the columns are others, this version reads no row.
        for facts in () if None in here else run.facts_or_damage(stage.table, touched):
            if not isinstance(facts, PartError):
                cost.rows += facts.rows
                cost.seconds += facts.seconds
    if not cost.parts:
        return None
    later = list(_resting_on({change.stage for change in found}, stages))
    following = sum(len(run.finished(name)) for name in later)
    more = f", and up to {following} that rest on them ({', '.join(later)})" if following else ""
    return f"{listed_changes(found)}. {cost}{more}"


def _resting_on(touched: set[str], stages: list[Stage]) -> Iterator[str]:
    """The later stages that need one of those, or one that needs it."""
    reached = set(touched)
    for stage in stages:
        if stage.name not in touched and reached.intersection(stage.needs):
            reached.add(stage.name)
            yield stage.name
