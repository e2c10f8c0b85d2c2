"""Plans the ``variance`` stage: one observation variance a generator."""

from typing import Any

from ...workers.shard import Item, Shard
from ..validation import GeneratorFacts
from .stage import AuditContext, Estimate, PlanContext, Stage, own_condition


def plan(context: PlanContext) -> list[Shard]:
    """One shard a generator, resting on the inversion's parts unless the value is given."""
    assert context.spec.stages.variance is not None
    value = context.spec.stages.variance.value
    shards = []
    for generator in context.facts.generators.values():
        settings: dict[str, Any] = {"value": value}
        if value is None:
            settings["inversion_parts"] = context.shard_ids("inversion")
            settings["own_conditions"] = _own_conditions(context, generator)
        item = Item(generator.name, None, "train", generator.name, None, seed=0)
        compute = "offmanifold.workers.variance:compute"
        shards.append(Shard("variance", compute, settings, (item,)))
    return shards


def _own_conditions(context: PlanContext, generator: GeneratorFacts) -> list[list[Any]]:
    return [
        [image.image_id, own_condition(generator, image.label, position)]
        for group in context.spec.groups
        if group.role == "train"
        for position, image in enumerate(context.images_under(generator, group))
    ]


def _estimate(context: AuditContext) -> Estimate:
    count = len(context.facts.generators)
    return Estimate(count, count, 0)


STAGE = Stage(
    name="variance",
    description="the observation variance, from the reconstructed training images or given",
    needs=("inversion",),
    enabled=lambda spec: spec.stages.variance is not None,
    plan=plan,
    estimate=_estimate,
)
