"""The table for ``plan``."""

from rich.table import Table

from .spec import AuditSpec
from .stages.registry import stages_of
from .stages.stage import AuditContext, Estimate
from .validation import Facts, gather_facts


def plan_table(spec: AuditSpec) -> Table:
    """Every stage's items, shards, generator evaluations and estimated time on one worker.

    Raises:
        SpecError: when the spec names what cannot be opened, or what does not fit together.
    """
    facts = gather_facts(spec)
    context = AuditContext(spec, facts)
    table = Table("stage", box=None, header_style="bold", title=f"plan of {spec.name}")
    for heading in ("shards", "items", "generator evaluations", "time on one worker"):
        table.add_column(heading, justify="right")
    total = Estimate(0, 0, 0)
    for stage in stages_of(spec):
        estimate = stage.estimate(context)
        table.add_row(stage.name, *_cells(estimate, facts))
        total = Estimate(
            total.items + estimate.items,
            total.shards + estimate.shards,
            total.evaluations + estimate.evaluations,
        )
    table.add_row("total", *_cells(total, facts), style="bold")
    return table


def _cells(estimate: Estimate, facts: Facts) -> tuple[str, str, str, str]:
    return (
        f"{estimate.shards:,}",
        f"{estimate.items:,}",
        f"{estimate.evaluations:,}",
        _time(estimate.evaluations, facts),
    )


def _time(evaluations: int, facts: Facts) -> str:
    """Evaluations over the slowest generator's measured rate on a CPU core, where it is known."""
    rates = [generator.evaluations_per_second for generator in facts.generators.values()]
    known = [rate for rate in rates if rate is not None]
    if len(known) < len(rates):
        return "unknown"
    minutes = evaluations / min(known) / 60
    return f"{minutes:.1f} min" if minutes >= 0.1 else "< 0.1 min"
