"""The driver: plans each stage once what it needs is complete, runs what is missing, reduces.

A part that turns out to be damaged, wherever that is, is moved aside, and the driver begins again
with what is missing then.
"""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

from ... import __version__
from ...cluster.locations import Location, absolute, create_storage, is_remote
from ...core.residuals import sketch_size
from ...workers.part_file import PartError
from ...workers.shard import content_id, part_path
from ...workers.soundness import Sizes
from ..audits import STAGES, stages_of
from ..audits.specs import gather_facts
from ..plan.shards import Shards
from ..plan.stage import AuditContext, PlanContext, Stage
from ..record.journal import Journal, journal
from ..record.kept_facts import keep_facts
from ..record.other_drivers import announced
from ..record.provenance import gather_provenance
from ..record.run_directory import PROVENANCE_FILE, RETRIED, SUPERSEDED, RunDirectory, Verified
from ..record.versions import recorded_versions
from ..results.changes import say_older
from ..results.finished_run import listed, refuse_unplanned, replan, require_complete
from ..results.partial import StageCount, keep_complete, stage_counts
from ..results.write import Results, write_partial, write_results
from ..spec.audit import AuditSpec
from ..spec.facts import Facts
from ..spec.loading import SpecError, spec_digest
from ..spec.written_files import require_folder
from .devices import require_compiler, require_local_gpus, require_movable
from .execution import open_lanes, terminate_as_interrupt
from .image_folders import refuse_among_images, refuse_inputs_among_parts
from .jacobians import require_jacobians
from .lane_tasks import LaneTasks
from .lanes import Lane, Stages, run_lanes
from .mending import Mending
from .pending import PendingTasks
from .progress import Progress
from .upgrade import announce_upgrade

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Outcome:
    """What a finished run left: its results, and how many rows failed in each stage.

    ``mended`` damaged parts were moved aside on the way and computed again. ``unfinished`` is how
    far the stages are of a run that is reported before its end; empty otherwise. ``out_of_use`` are
    GPUs or nodes where shard after shard died, which others computed then.
    """

    results: Results
    quarantined: dict[str, int]
    mended: int = 0
    unfinished: Sequence[StageCount] = ()
    out_of_use: Sequence[str] = ()

    @property
    def complete(self) -> bool:
        """Whether every planned item has its row without error."""
        return not any(self.quarantined.values())


def run_folder(out: Location) -> str:
    """The run directory that ``--out`` names: an absolute path, or an address.

    Raises:
        SpecError: it is empty, or there is a file in its place, or above it.
        LocationError: an address that is none of a bucket.
    """
    if not str(out):
        # As of a variable of the shell that is not set.
        raise SpecError("--out is empty: name a run directory, or leave --out out")
    folder = absolute(out)
    if not is_remote(folder):
        require_folder("--out", Path(folder))
    return folder


def default_folder(source: str) -> str:
    """Where a run goes that names no directory: by its spec's file, or a preset's name."""
    return str(Path("runs") / Path(source).stem)


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
        ClusterError: before any work, for GPUs or a compiler that this machine does not have; or
            when a Ray cannot be started or joined.
        LocationError: when ``out`` is another address than a bucket's.
        StorageError: when the directory cannot be written.
        PartError: when a part is damaged again and again.
    """
    settings = spec.cluster.storage.settings
    run = RunDirectory.at(out, settings)
    run.refuse_own_code(spec)
    refuse_among_images(spec, run.location)
    refuse_inputs_among_parts(spec, run.location)
    require_local_gpus(spec.cluster)
    require_compiler(spec.cluster)
    facts = gather_facts(spec)
    require_jacobians(AuditContext(spec, facts))
    require_movable(spec.cluster, facts)
    for each in facts.shared:
        logger.warning("%s", each)
    create_storage(out, settings)
    run.require_own(spec, allow_changed=allow_changed)
    announce_upgrade(run, spec)
    provenance = provenance_of(spec, facts)
    # What only keeps a record does not hold up the end of a run.
    prompt, run = run, RunDirectory.at(out, spec.cluster.storage.patient_settings)
    with (
        announced(prompt.storage, _work(spec, provenance)) as presence,
        journal(prompt.storage) as log,
        journal(prompt.storage) as log_of_cpus,
    ):
        run.claim(spec, provenance, allow_changed=allow_changed, rivals=presence.rivals)
        keep_facts(run, facts)
        mending = Mending(run, log)
        retries = {stage.name for stage in STAGES} if retry_failed else set()
        logs = (log, log_of_cpus)
        driver = _Driver(progress, mending, retries)
        while True:
            context = PlanContext(spec, facts, run)
            try:
                with open_lanes(context) as (lanes, told):
                    progress.say(told)
                    driver.run_stages(context, lanes, logs)
                outcome = _reduce(context, runs_code=True, mended=mending.mended)
            except PartError as error:
                mending.take(error)
            else:
                mending.finish()
                out_of_use = set().union(*(each.ever_out_of_use for each in logs))
                return replace(outcome, out_of_use=sorted(out_of_use))


def provenance_of(spec: AuditSpec, facts: Facts) -> dict[str, Any]:
    """What a run says of itself; arguments and result as `gather_provenance`."""
    computations = [each for stage in STAGES for each in stage.computations]
    return gather_provenance(spec, facts, [stage.table for stage in STAGES], computations)


def _work(spec: AuditSpec, provenance: dict[str, Any]) -> str:
    """What two drivers have in common that plan the same shards."""
    versions = {key: provenance[key] for key in ("revisions", "schema_versions")}
    return content_id({"spec": spec_digest(spec), **versions})


@dataclass
class _Driver:
    """Runs what is missing of a run; ``retries`` are the stages whose failures are to run again."""

    progress: Progress
    mending: Mending
    retries: set[str]

    def run_stages(
        self, context: PlanContext, lanes: Sequence[Lane], logs: Sequence[Journal]
    ) -> None:
        """Plans and runs each stage, once what it needs is complete; a lane's attempts in its log.

        Raises:
            PartError: a part that a plan or a computation rests on is damaged.
        """
        enabled = stages_of(context.spec)
        for name in sorted({stage.name for stage in STAGES} - {stage.name for stage in enabled}):
            _set_aside(context.run, context.run.contents(name, set()).unplanned)
        stages = Stages(enabled, lanes)
        planning, finished = Lock(), dict[str, set[str]]()

        def run(number: int) -> None:
            lane = lanes[number]

            def plan(stage: Stage) -> tuple[str, PendingTasks]:
                # The results that a plan rests on are read once, and damage is dealt with once.
                with planning:
                    if stage.name not in finished:
                        context.plans[stage.name] = stage.shards(context)
                        finished[stage.name] = self._finished(stage, context)
                    shards, done = context.plans[stage.name], finished[stage.name]
                    return _part(stage, lane, lanes, shards, done)

            with LaneTasks(stages, number, plan, self.progress) as tasks:
                lane.executor.run(tasks, lane.factory, tasks.report, logs[number], tasks.told)

        run_lanes(stages, len(lanes), run)

    def _finished(self, stage: Stage, context: PlanContext) -> set[str]:
        """The ids of a stage's shards that need not run again; other files are moved aside."""
        run, shards = context.run, context.plans[stage.name]
        run.storage.remove_stale(stage.name)
        run.take_back(stage.name, set(shards.ids), SUPERSEDED)
        contents = run.contents(stage.name, set(shards.ids))
        _set_aside(run, contents.unplanned)
        finished = self.mending.check(stage.table, shards, contents.finished)
        if stage.name in self.retries:
            done = sorted(finished)
            facts = zip(done, run.part_facts(stage.table, done), strict=True)
            failed = [shard_id for shard_id, found in facts if found.failed]
            run.set_aside([part_path(stage.name, shard_id) for shard_id in failed], RETRIED)
            self.retries.remove(stage.name)
            finished -= set(failed)
        return finished


def _part(
    stage: Stage, lane: Lane, lanes: Sequence[Lane], shards: Shards, finished: set[str]
) -> tuple[str, PendingTasks]:
    """What is left of a stage for one of the lanes, and what that is called."""
    shared = sum(each.has_part(stage) for each in lanes) > 1
    pending = PendingTasks(stage.name, shards, finished, lane.takes if shared else None)
    is_whole = pending.all_shards == len(shards)
    return stage.name if is_whole else f"{stage.name}, {lane.words}", pending


def _set_aside(run: RunDirectory, unplanned: list[str]) -> None:
    """Moves files away that no plan has, before they are taken for rows of their table."""
    if unplanned:
        logger.warning("%s not planned by the spec: moved to %s", listed(unplanned), SUPERSEDED)
        run.set_aside(unplanned, SUPERSEDED)


def _reduce(context: PlanContext, *, runs_code: bool, mended: int = 0) -> Outcome:
    verified = _verified(context)
    _keep_computers(context.run, verified)
    quarantined = {name: each.failed for name, each in verified.items()}
    return Outcome(write_results(context, runs_code=runs_code), quarantined, mended)


def _verified(context: PlanContext) -> dict[str, Verified]:
    """What the parts of each planned stage say of themselves, held against the plan."""
    sizes = sizes_of(context.facts)
    return {
        stage.name: context.run.verify(stage.table, shards.ids, shards, sizes)
        for stage in stages_of(context.spec)
        if (shards := context.plans.get(stage.name)) is not None
    }


def sizes_of(facts: Facts) -> Sizes:
    """How long lists in the tables are, as far as it depends on what is audited."""
    latent = {name: each.latent_dim for name, each in facts.generators.items()}
    return Sizes(facts.dimensions, sketch_size(*facts.image_shape), latent)


def _keep_computers(run: RunDirectory, verified: Mapping[str, Verified]) -> None:
    """Keeps in the provenance how many parts of each stage were computed on what."""
    found: dict[str, dict[str, int]] = {}
    for stage, each in verified.items():
        for computer, parts in sorted(each.computed_on.items()):
            found.setdefault(computer, {})[stage] = parts
    # Beside GPUs there are always CPUs, for what calls no network.
    with_networks = {name for each in verified.values() for name in each.with_networks}
    others = {name for each in verified.values() for name in each.computed_on - each.with_networks}
    if len(with_networks) > 1 or len(others) > 1:
        told = "; ".join(
            f"{computer}: {sum(parts.values())} parts" for computer, parts in found.items()
        )
        logger.warning(
            "the run's parts were computed on different devices, with different versions or in "
            "different precisions, so rounding differs between them: %s (provenance.json says "
            "which stages)",
            told,
        )
    provenance = run.read_json(PROVENANCE_FILE)
    if provenance.get("computed_on") != found:
        run.write_json(PROVENANCE_FILE, {**provenance, "computed_on": found})


def rebuild(out: Location) -> Outcome:
    """Rebuilds summary and report of a run from its finished parts; runs none of its code.

    Of an unfinished run a partial report is written, beside those of a finished one.

    Raises:
        SpecError: when ``out`` is no run directory, its tables hold what its spec does not plan, or
            the report needs a picture that its generator's own code has not drawn yet; or it is
            not complete by the plan of this version, which another one began.
        PartError: when a part is damaged.
    """
    context = replan(RunDirectory.at(out))
    found = stage_counts(context)
    if not all(each.complete for each in found):
        if recorded_versions(context.run).version != __version__:
            require_complete(context)
        keep_complete(context, found)
        quarantined = {name: each.failed for name, each in _verified(context).items()}
        return Outcome(write_partial(context, found), quarantined, unfinished=found)
    refuse_unplanned(context)
    say_older(context)
    return _reduce(context, runs_code=False)
