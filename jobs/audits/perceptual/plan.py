"""Plans the ``perceptual`` stage: LPIPS of every reconstruction that the inversion stage found."""

from dataclasses import replace
from typing import Any

from ....workers.perceptual import COMPUTATION, PERCEPTUAL_TABLE
from ....workers.shard import Shard, chunk
from ....workers.timed_parts import IMAGES, LpipsPart
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, conditions_of, pairs
from ...plan.work import Chore
from ..images.plan import generator_settings
from .settings import PERCEPTUAL, PerceptualSpec


def backbone_settings(context: AuditContext) -> dict[str, Any]:
    """How a worker opens the LPIPS backbone, and the hash that makes its weights part of the id."""
    backbone, perceptual = context.facts.backbone, context.spec.perceptual
    assert backbone is not None, "validation opens the backbone of a spec that uses LPIPS"
    return {
        "perceptual_network": perceptual.network,
        "perceptual_weights": perceptual.weights,
        "perceptual_sha256": backbone.sha256,
    }


def lpips_chore(context: AuditContext, count: float, *, gradient: bool = False) -> Chore:
    """LPIPS of so many pairs of images, and where asked for its gradient in one of each."""
    perceptual, shape = context.spec.perceptual, context.facts.image_shape
    part = LpipsPart(perceptual.network, perceptual.weights, shape, gradient)
    return Chore.of("LPIPS", part, count / IMAGES)


def _settings(context: AuditContext) -> PerceptualSpec:
    return PERCEPTUAL.required(context.spec.stages)


def plan(context: PlanContext) -> list[Shard]:
    """Shards of the inversion's (generator, image, condition), those that failed included."""
    shards: list[Shard] = []
    for generator in context.facts.generators.values():
        items = []
        for group in context.spec.audited:
            for position, image in enumerate(context.images_under(generator, group)):
                for condition in conditions_of(context, generator, group, image.label, position):
                    key = (generator.name, condition, image.image_id)
                    part, row = context.inversions.get(key) or (None, None)
                    found = image.item(generator.name, condition, seed=0)
                    items.append(replace(found, inversion_part=part, inversion_row=row))
        settings = {**generator_settings(generator), **backbone_settings(context)}
        size = _settings(context).shard_items
        shards += chunk(PERCEPTUAL_TABLE, COMPUTATION, settings, items, size)
    return shards


def _cost(context: AuditContext) -> Cost:
    items = pairs(context)
    chores = (lpips_chore(context, items),)
    return Cost(items, -(-items // _settings(context).shard_items), items, chores=chores)


STAGE = Stage(
    table=PERCEPTUAL_TABLE,
    computations=(COMPUTATION,),
    description="LPIPS between each image and its reconstruction",
    needs=("images", "inversion"),
    enabled=lambda spec: PERCEPTUAL.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
