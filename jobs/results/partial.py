"""An unfinished run, as far as it can be reported: what is there of each stage, without verdicts.

Statistics are of stages that are complete. Of others there are counts: their rows are those of the
groups that come first, and of the images that were quick.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..audits import stages_of
from ..plan.stage import PlanContext
from ..report.table import Column, Table, counts


@dataclass(frozen=True)
class StageCount:
    """How many of a stage's items are there; ``items`` is None before what it needs is complete."""

    stage: str
    done: int
    items: int | None
    complete: bool


def stage_counts(context: PlanContext) -> list[StageCount]:
    """Of each stage of the run, from its plan and one listing."""
    found = []
    for stage in stages_of(context.spec):
        shards = context.plans.get(stage.name)
        if shards is None:
            found.append(StageCount(stage.name, 0, None, complete=False))
            continue
        finished = context.run.finished(stage.name)
        left = sum(size for shard, size in shards.sizes if shard not in finished)
        complete = finished.issuperset(shards.ids)
        found.append(StageCount(stage.name, shards.items - left, shards.items, complete=complete))
    return found


def keep_complete(context: PlanContext, found: Sequence[StageCount]) -> None:
    """Leaves in a plan the stages that are complete, which alone may be reduced."""
    kept = {each.stage for each in found if each.complete}
    context.plans = {name: plan for name, plan in context.plans.items() if name in kept}


def unfinished_sentence(found: Sequence[StageCount]) -> str:
    """That the run is not finished, and what that means for its report."""
    complete = sum(each.complete for each in found)
    return (
        f"This run is not finished: {complete} of its {len(found)} stages are complete. The report "
        "is of those. No verdict is given before all of them are, since a later stage may overturn "
        "it."
    )


def unfinished_table(found: Sequence[StageCount]) -> Table:
    """How far each stage is."""
    return Table(
        "What is there of each stage",
        [Column("stage"), counts("items done"), counts("of"), Column("in this report")],
        [
            [
                each.stage,
                each.done,
                each.items,
                "yes" if each.complete else "no" if each.items is not None else "not planned yet",
            ]
            for each in found
        ],
        key="unfinished",
    )
