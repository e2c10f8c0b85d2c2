"""Plans the ``neighbours`` stage: every stored image against a whole reference set."""

from ...workers.shard import Item, Shard, chunk
from ..stage_specs import NeighboursSpec
from .images import reference_settings
from .stage import AuditContext, Estimate, PlanContext, Stage


def _settings(context: AuditContext) -> NeighboursSpec:
    assert context.spec.stages.neighbours is not None
    return context.spec.stages.neighbours


def plan(context: PlanContext) -> list[Shard]:
    """Shards of images, in the order they were materialised."""
    spec, settings = _settings(context), reference_settings(context, "neighbours")
    items = [
        Item(
            generator=image.generator,
            condition=None,
            group=image.group,
            image_id=image.image_id,
            label=image.label,
            seed=0,
            image_part=image.part,
            image_row=image.row,
        )
        for image in context.images
    ]
    compute = "offmanifold.workers.neighbours:compute"
    return chunk("neighbours", compute, settings, items, spec.shard_items)


def _estimate(context: AuditContext) -> Estimate:
    items = sum(
        context.group_size(group)
        * (len(context.facts.generators) if group.role == "generated" else 1)
        for group in context.spec.groups
        if group.role != "simulated"
    )
    return Estimate(items, -(-items // _settings(context).shard_items), 0)


STAGE = Stage(
    name="neighbours",
    description="nearest image of a reference set in pixels: the baseline",
    needs=("images",),
    enabled=lambda spec: spec.stages.neighbours is not None,
    plan=plan,
    estimate=_estimate,
)
