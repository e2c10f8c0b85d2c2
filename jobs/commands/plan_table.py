"""The table for ``plan``."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from ...core.statistics.typicality import images_needed
from ..audits import stages_of
from ..audits.inversion.settings import INVERSION
from ..audits.likelihood.settings import LIKELIHOOD
from ..audits.specs import gather_facts
from ..drive.devices import local_devices, local_gpu_problem
from ..plan.stage import AuditContext, Cost
from ..report.plain_text import printable
from ..spec.audit import AuditSpec, ClusterSpec
from ..spec.facts import Facts
from .data_notes import account_notes, class_notes, generator_notes


def plan_table(spec: AuditSpec, remarks: Sequence[str] = ()) -> Table:
    """Every stage's items, shards, generator evaluations and estimated time on one worker.

    ``remarks`` come first below it.

    Raises:
        SpecError: when the spec names what cannot be opened, or what does not fit together.
    """
    facts = gather_facts(spec)
    context = AuditContext(spec, facts)
    table = Table("stage", box=None, header_style="bold", title=f"plan of {spec.name}")
    for heading in ("shards", "items", "generator evaluations", "time on one worker"):
        table.add_column(heading, justify="right")
    total = Cost(0, 0, 0)
    for stage in stages_of(spec):
        cost = stage.cost(context)
        table.add_row(stage.name, *_cells(cost, facts))
        total = Cost(
            total.items + cost.items,
            total.shards + cost.shards,
            total.evaluations + cost.evaluations,
            total.trainings + cost.trainings,
        )
    table.add_row("total", *_cells(total, facts), style="bold")
    # Names of files are no markup, and must not steer the terminal.
    notes = [*remarks, *plan_notes(context)]
    if total.trainings:
        notes.append(
            f"Training {total.trainings} classifiers takes time that is not counted here: it ends "
            "when they have converged."
        )
    table.caption = Text(printable("\n".join(notes)))
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


def _cells(cost: Cost, facts: Facts) -> tuple[str, str, str, str]:
    return (
        f"{cost.shards:,}",
        f"{cost.items:,}",
        f"{cost.evaluations:,}",
        _time(cost, facts),
    )


def _time(cost: Cost, facts: Facts) -> str:
    """That of the generators' evaluations; how long training takes is not known before it ends."""
    if not cost.trainings:
        return _time_of_evaluations(cost.evaluations, facts)
    if not cost.evaluations:
        return "training"
    return f"{_time_of_evaluations(cost.evaluations, facts)} + training"


def _time_of_evaluations(evaluations: int, facts: Facts) -> str:
    """Evaluations over the slowest generator's measured rate on a CPU core, where it is known."""
    rates = [generator.evaluations_per_second for generator in facts.generators.values()]
    known = [rate for rate in rates if rate is not None]
    if len(known) < len(rates):
        return "unknown"
    minutes = evaluations / min(known) / 60
    return f"{minutes:.1f} min" if minutes >= 0.1 else "< 0.1 min"
