"""A run as it lies there: its plan, from the record of its last driver, and what it lacks."""

from collections.abc import Callable

from ... import __version__
from ...workers.command_lines import resuming
from ...workers.part_file import PartError
from ...workers.shard import content_id
from ..audits import TABLES, stages_of
from ..audits.specs import spec_of
from ..plan.stage import PlanContext
from ..record.kept_facts import kept_facts
from ..record.run_directory import RunDirectory
from ..record.versions import recorded_versions
from ..spec.loading import SpecError
from .changes import refuse_other_schemas

_NAMED = 3


def replan(run: RunDirectory, on_damage: Callable[[PartError], None] | None = None) -> PlanContext:
    """The plan of a run on disk, as far as its finished stages allow.

    Computes nothing, and opens nothing that the spec names. A run of another version has the plan
    that this version made.

    Args:
        run: the run.
        on_damage: told of a damaged part that a stage's plan rests on, which then has none.

    Raises:
        SpecError: no run directory, one without the facts of its spec, or of a version whose tables
            this one cannot read.
        PartError: without ``on_damage``, a damaged part.
    """
    stages = stages_of(spec_of(run))
    refuse_other_schemas(run, recorded_versions(run), stages)
    return plan_as_recorded(run, on_damage)


def plan_as_recorded(
    run: RunDirectory, on_damage: Callable[[PartError], None] | None = None
) -> PlanContext:
    """As :func:`replan`, also where this version cannot read all of the run's tables."""
    spec = spec_of(run)
    context = PlanContext(spec, kept_facts(run, spec), run, recorded_versions(run))
    complete: set[str] = set()
    stages = stages_of(spec)
    enabled = {stage.name for stage in stages}
    for stage in stages:
        if complete.issuperset(need for need in stage.needs if need in enabled):
            try:
                shards = stage.shards(context)
            except PartError as error:
                if on_damage is None:
                    raise
                on_damage(error)
                continue
            context.plans[stage.name] = shards
            if run.finished(stage.name).issuperset(shards.ids):
                complete.add(stage.name)
    return context


def require_complete(context: PlanContext, *, besides: str | None = None) -> None:
    """Checks that every stage of a run, ``besides`` excepted, has all its parts.

    Raises:
        SpecError: naming the first stage that has not.
    """
    out = context.run.location
    for stage in stages_of(context.spec):
        shards = context.plans.get(stage.name)
        finished = context.run.finished(stage.name)
        complete = shards is not None and finished.issuperset(shards.ids)
        if not complete and stage.name != besides:
            recorded = recorded_versions(context.run)
            other = (
                f". It was written by {recorded.package}, which may have planned it otherwise: if "
                "it is complete there, read it with that version"
                if recorded.version != __version__
                else ""
            )
            raise SpecError(
                f"{out}: stage {stage.name} is not complete; resume with `{resuming(out)}`{other}"
            )


def unplanned_files(context: PlanContext) -> dict[str, list[str]]:
    """The files in the tables' folders that the plan does not have, by table.

    Of a stage that cannot be planned yet nothing is known, and so nothing is said.
    """
    enabled = {stage.name for stage in stages_of(context.spec)}
    known = [
        table.name for table in TABLES if table.name in context.plans or table.name not in enabled
    ]
    return {name: context.run.contents(name, _planned(context, name)).unplanned for name in known}


def refuse_unplanned(context: PlanContext) -> None:
    """Checks that a run's tables hold nothing that its plan does not have.

    Raises:
        SpecError: naming what they hold.
    """
    files = [file for found in unplanned_files(context).values() for file in found]
    if files:
        out = context.run.location
        raise SpecError(
            f"{out}: {listed(files)} not planned by the run's spec; "
            f"`{resuming(out)}` moves such files aside"
        )


def listed(files: list[str]) -> str:
    """The first of some files and how many more there are, with the verb."""
    more = len(files) - _NAMED
    named = ", ".join(files[:_NAMED]) + (f" and {more} more" if more > 0 else "")
    return f"{named} {'is' if len(files) == 1 else 'are'}"


def plan_digest(context: PlanContext) -> str:
    """A hash of the ids of all shards, and so of all that the run's rows depend on."""
    return content_id({name: sorted(shards.ids) for name, shards in context.plans.items()})


def _planned(context: PlanContext, stage: str) -> set[str]:
    shards = context.plans.get(stage)
    return set() if shards is None else set(shards.ids)
