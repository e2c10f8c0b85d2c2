"""The table for ``plan``."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from rich.table import Table
from rich.text import Text

from ...core.statistics.typicality import images_needed
from ..audits.inversion.settings import INVERSION
from ..audits.likelihood.settings import LIKELIHOOD
from ..audits.specs import gather_facts
from ..drive.devices import (
    bound_problem,
    local_compile_problem,
    local_devices,
    local_gpu_problem,
)
from ..drive.estimate import Estimate, Saving, StageEstimate, estimate
from ..drive.foreseen import Speeds
from ..drive.jacobians import require_jacobians
from ..plan.stage import AuditContext
from ..report.plain_text import printable
from ..spec.audit import AuditSpec, ClusterSpec
from ..spec.facts import Facts
from .data_notes import account_notes, class_notes, generator_notes

# A tenth of a minute, the last digit that is shown.
_LEAST_SECONDS = 6


@dataclass(frozen=True)
class Plan:
    """What ``plan`` says: the work and its time, and notes in words."""

    spec: AuditSpec
    estimate: Estimate
    notes: tuple[str, ...]


def planned(spec: AuditSpec, remarks: Sequence[str] = (), speeds: Speeds | None = None) -> Plan:
    """A spec's work, and the time that it takes here; ``remarks`` come first among the notes.

    What was timed to choose the spec's form is given as ``speeds``, and not timed again.

    Raises:
        SpecError: when the spec names what cannot be opened, or what does not fit together.
    """
    context = AuditContext(spec, gather_facts(spec))
    require_jacobians(context)
    found = estimate(context, speeds)
    return Plan(spec, found, (*remarks, *plan_notes(context), *_time_notes(found)))


def plan_json(plan: Plan) -> str:
    """The same for programs."""
    return json.dumps({"name": plan.spec.name, **asdict(plan.estimate), "notes": plan.notes})


def plan_table(plan: Plan) -> Table:
    """Every stage's items, shards, generator evaluations, and their time and memory."""
    spec = plan.spec
    table = Table("stage", box=None, header_style="bold", title=f"plan of {spec.name}")
    for heading in ("shards", "items", "generator evaluations", "time on one worker", "memory"):
        table.add_column(heading, justify="right")
    for stage in plan.estimate.stages:
        table.add_row(stage.stage, *_cells(stage))
    table.add_row("total", *_cells(plan.estimate.total), style="bold")
    # Names of files are no markup, and must not steer the terminal.
    table.caption = Text(printable("\n".join(plan.notes)))
    table.caption_justify = "left"
    return table


def plan_notes(context: AuditContext) -> list[str]:
    """What was understood of generators and data, and what the audit's sizes cannot decide."""
    notes = generator_notes(context.facts) + account_notes(context.facts)
    notes += class_notes(context.spec, context.facts)
    notes += [f"{each}." for each in context.facts.shared]
    if context.inliers is not None:
        stored = (
            "no fixed grey levels" if context.levels is None else f"{context.levels} grey levels"
        )
        notes.append(
            f"The data have {stored}, judging by the first images; generated images are stored "
            "the same way."
        )
    stages = context.spec.stages
    if context.spec.null is None and (INVERSION.of(stages) or LIKELIHOOD.of(stages)):
        notes.append(
            "No group has role `null`: no verdict on reconstruction or typicality will go against "
            "the generator, because its own samples are not put to the same tests."
        )
    return notes + _device_notes(context.spec.cluster, context.facts) + _typicality_note(context)


def _device_notes(cluster: ClusterSpec, facts: Facts) -> list[str]:
    """What is computed on, what `run` would refuse, and GPUs that would be idle."""
    notes = []
    problem = local_gpu_problem(cluster)
    if problem is not None:
        notes.append(f"`run` would refuse to start: {problem}.")
    elif cluster.is_joined:
        notes.append("Whether the cluster has GPUs is seen once `run` joins it.")
    else:
        notes.append(f"On this machine: {local_devices(cluster, facts).told}.")
    uncompiled = local_compile_problem(cluster)
    if uncompiled is not None:
        notes.append(f"`run` would refuse to start: cluster.compile is true, but {uncompiled}.")
    bound = bound_problem(cluster, facts)
    if bound is not None:
        told = "`run` would refuse to start" if cluster.wants_gpus else "On CPUs even beside a GPU"
        notes.append(f"{told}: {bound}.")
    if cluster.gpus_per_worker is not None and cluster.gpus_per_worker > 1:
        notes.append(
            f"A worker computes on one GPU: of its {cluster.gpus_per_worker:g} "
            "(cluster.gpus_per_worker), the others would be idle. 1 gives more workers."
        )
    return notes


def _typicality_note(context: AuditContext) -> list[str]:
    groups = context.spec.audited
    simulated = [context.group_size(group) for group in groups if group.role == "simulated"]
    train = sum(context.group_size(group) for group in groups if group.role == "train")
    if not simulated or not train or LIKELIHOOD.of(context.spec.stages) is None:
        return []
    needed = images_needed(simulated[0])
    if needed is None:
        return [
            f"Typicality: {simulated[0]} simulated images are too few to call any data typical; "
            "use 256."
        ]
    if train >= needed:
        return []
    return [
        f"Typicality: it takes about {needed} training images to call typical data typical; with "
        f"{train} the answer is likely to stay undecided. Atypical data can still be found."
    ]


def _time_notes(found: Estimate) -> list[str]:
    """How long a run takes, and what to lower first where that is too long."""
    notes = []
    if found.total.seconds is None:
        why = "" if found.untimed is None else f": {found.untimed}"
        notes.append(f"Nothing was timed here, so the time is not known{why}.")
    else:
        notes.append(
            "Time is that of the generators' evaluations and of other work, timed here and now in "
            f"the run's own batches: {_shown(found.total)} in all on one worker."
        )
        if found.total.untimed is not None:
            notes.append(
                "\N{GREATER-THAN OR EQUAL TO} is a lower bound. Not timed, and on top of it: "
                f"{found.total.untimed}."
            )
        if found.elapsed is not None and found.beside is not None:
            workers = "one worker" if found.workers == 1 else f"{found.workers} workers"
            notes.append(
                f"The whole run on this machine's {workers}: {_bound(found.total)}"
                f"{_span(*found.elapsed)}, of which {_span(*found.beside)} to start, for "
                "statistics and the report."
            )
        notes.append("Memory is one worker's, at the most.")
    if found.lower_first:
        notes.append(f"To be faster lower first, with what it saves: {_told(found.lower_first)}.")
    if found.leaner:
        notes.append(f"For less memory lower first: {_told(found.leaner)}.")
    return notes


def _told(savings: Sequence[Saving]) -> str:
    return ", ".join(
        f"{each.key} {each.value:,} \N{RIGHTWARDS ARROW} {each.half:,} ({each.share:.0%})"
        for each in savings
    )


def _cells(stage: StageEstimate) -> tuple[str, str, str, str, str]:
    return (
        f"{stage.shards:,}",
        f"{stage.items:,}",
        f"{stage.evaluations:,}",
        _time(stage),
        "" if stage.memory is None else f"{stage.memory / 2**20:,.0f} MiB",
    )


def _time(stage: StageEstimate) -> str:
    """What is timed of it."""
    if stage.untimed is not None and not (stage.seconds and stage.seconds.most):
        return "not timed"
    return "unknown" if stage.seconds is None else _shown(stage)


def _shown(stage: StageEstimate) -> str:
    """Its seconds, which there are, called a lower bound where they are one."""
    least, most = stage.seconds or (0.0, 0.0)
    if stage.untimed is not None and most < _LEAST_SECONDS:
        return f"{_bound(stage)}0 min"
    return _bound(stage) + _span(least, most)


def _bound(stage: StageEstimate) -> str:
    return "" if stage.untimed is None else "\N{GREATER-THAN OR EQUAL TO} "


def _span(least: float, most: float) -> str:
    """Two durations in the unit of the longer one."""
    unit, size = ("h", 3600) if most >= 7200 else ("min", 60)
    if most < _LEAST_SECONDS:
        return "< 0.1 min"
    low, high = f"{least / size:.1f}", f"{most / size:.1f}"
    return f"{high} {unit}" if low == high else f"{low}\N{EN DASH}{high} {unit}"
