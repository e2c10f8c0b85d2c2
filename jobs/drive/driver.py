"""The driver: plans each stage once what it needs is complete, runs what is missing, reduces."""

import logging
from dataclasses import dataclass
from typing import Any

from ...cluster.executor import Executor
from ...cluster.locations import Location, create_storage
from ...workers.runner import WorkerFactory
from ..audits import STAGES, stages_of
from ..audits.specs import gather_facts, spec_of
from ..plan.stage import PlanContext, Stage
from ..record.journal import Journal, journal
from ..record.kept_facts import keep_facts, kept_facts
from ..record.other_drivers import announced
from ..record.provenance import gather_provenance
from ..record.run_directory import RunDirectory
from ..results.write import Results, write_results
from ..spec.audit import AuditSpec
from ..spec.facts import Facts
from ..spec.loading import SpecError
from .execution import import_paths, open_executor, terminate_as_interrupt, worker_factory
from .pending import PendingTasks
from .progress import Progress

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a finished run left: its results, and how many rows failed in each stage."""

    results: Results
    quarantined: dict[str, int]

    @property
    def complete(self) -> bool:
        """Whether every planned item has its row without error."""
        return not any(self.quarantined.values())


@terminate_as_interrupt()
def run_audit(
    spec: AuditSpec,
    out: Location,
    progress: Progress,
    *,
    allow_changed: bool = False,
    retry_failed: bool = False,
) -> Outcome:
    """Runs, or resumes, a whole audit in ``out``; SIGTERM raises KeyboardInterrupt in it.

    Args:
        spec: What to audit.
        out: The run directory: a path, made if it does not exist, or an ``s3://`` address in a
            bucket that exists.
        progress: Told of every stage and shard.
        allow_changed: Take over a run directory that belongs to another spec; stages that the
            change touches are recomputed and their old parts moved aside.
        retry_failed: First withdraw the parts that hold failed items, so that they run again.

    Raises:
        SpecError: before any work, for a spec that cannot be run or a directory of another spec.
        LocationError: when ``out`` is another address than a bucket's.
        StorageError: when the directory cannot be written.
    """
    settings = spec.cluster.storage.settings
    run = RunDirectory.at(out, settings)
    run.refuse_own_code(spec)
    facts = gather_facts(spec)
    create_storage(out, settings)
    run.claim(spec, provenance_of(spec, facts), allow_changed=allow_changed)
    keep_facts(run, facts)
    context = PlanContext(spec, facts, run)
    factory = worker_factory(spec, run.storage)
    with (
        announced(run.storage),
        journal(run.storage) as log,
        open_executor(spec.cluster, import_paths(spec)) as executor,
    ):
        for stage in stages_of(spec):
            context.plans[stage.name] = stage.shards(context)
            _run_stage(stage, context, executor, factory, progress, log, retry_failed=retry_failed)
    return _reduce(context, runs_code=True)


def provenance_of(spec: AuditSpec, facts: Facts) -> dict[str, Any]:
    """What a run says of itself; arguments and result as `gather_provenance`."""
    computations = [each for stage in STAGES for each in stage.computations]
    return gather_provenance(spec, facts, [stage.table for stage in STAGES], computations)


def _run_stage(
    stage: Stage,
    context: PlanContext,
    executor: Executor,
    factory: WorkerFactory,
    progress: Progress,
    log: Journal,
    *,
    retry_failed: bool,
) -> None:
    run, shards = context.run, context.plans[stage.name]
    run.storage.remove_stale(stage.name)
    finished = run.finished(stage.name)
    stale = sorted(finished.difference(shards.ids))
    if stale:
        logger.warning("stage %s: %d parts with other settings moved aside", stage.name, len(stale))
        run.withdraw(stage.name, stale, into="superseded")
    if retry_failed:
        done = sorted(finished.intersection(shards.ids))
        facts = zip(done, run.part_facts(stage.table, done), strict=True)
        failed = [part for part, found in facts if found.failed]
        run.withdraw(stage.name, failed, into="retried")
        finished -= set(failed)
    pending = PendingTasks(stage.name, shards, finished)
    with progress.stage(stage.name, len(shards), shards.items, shards.items - pending.items):
        executor.run(pending, factory, progress.report, log)


def _reduce(context: PlanContext, *, runs_code: bool) -> Outcome:
    quarantined = {
        stage.name: context.run.verify(stage.table, shards.ids, shards)
        for stage in stages_of(context.spec)
        if (shards := context.plans.get(stage.name)) is not None
    }
    return Outcome(write_results(context, runs_code=runs_code), quarantined)


def rebuild(out: Location) -> Outcome:
    """Rebuilds summary and report of a run from its finished parts; runs none of its code.

    Raises:
        SpecError: when ``out`` is no run directory, a stage of it is not complete, or the report
            needs a picture that its generator's own code has not drawn yet.
    """
    context = replan(RunDirectory.at(out))
    require_complete(context)
    return _reduce(context, runs_code=False)


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
            raise SpecError(
                f"{out}: stage {stage.name} is not complete; "
                f"resume with `offmanifold run {out}/audit.yaml --out {out}`"
            )


def replan(run: RunDirectory) -> PlanContext:
    """The plan of a run on disk, as far as its finished stages allow.

    Computes nothing, and opens nothing that the spec names.

    Raises:
        SpecError: no run directory, or one without the facts of its spec.
    """
    spec = spec_of(run)
    context = PlanContext(spec, kept_facts(run, spec), run)
    complete: set[str] = set()
    stages = stages_of(spec)
    enabled = {stage.name for stage in stages}
    for stage in stages:
        if complete.issuperset(need for need in stage.needs if need in enabled):
            shards = stage.shards(context)
            context.plans[stage.name] = shards
            if run.finished(stage.name).issuperset(shards.ids):
                complete.add(stage.name)
    return context
