"""Plans the ``neighbours`` stage: every stored image against every block of a reference set."""

import math
from typing import Any

from ....workers.neighbours import COMPUTATION, NEIGHBOURS_TABLE
from ....workers.shard import Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ..images.plan import reference_settings
from ..perceptual.plan import backbone_settings
from .settings import NEIGHBOURS, NeighboursSpec

_FLOAT32_BYTES = 4


def _settings(context: AuditContext) -> NeighboursSpec:
    return NEIGHBOURS.required(context.spec.stages)


def plan(context: PlanContext) -> list[Shard]:
    """Shards of images, in the order they were materialised, for one block after another.

    In this order a worker meets the block that it holds again.
    """
    spec = _settings(context)
    items = [image.item(image.generator, None, seed=0) for image in context.images]
    shards: list[Shard] = []
    for space in dict.fromkeys(spec.spaces):
        settings = {**reference_settings(context, "neighbours"), "space": space}
        if space == "lpips":
            settings |= backbone_settings(context)
        size = min(spec.shard_items, _rows_in_memory(context, space))
        for block in _blocks(context, space):
            shards += chunk(NEIGHBOURS_TABLE, COMPUTATION, {**settings, **block}, items, size)
    return shards


def _rows_in_memory(context: AuditContext, space: str) -> int:
    """How many images fit into a block's memory, as vectors of this space."""
    if space == "lpips":
        backbone = context.facts.backbone
        assert backbone is not None, "validation opens the backbone of a spec that uses LPIPS"
        width = backbone.features
    else:
        width = math.prod(context.facts.image_shape)
    return max(1, int(_settings(context).block_mib * 2**20 / (_FLOAT32_BYTES * width)))


def _blocks(context: AuditContext, space: str) -> list[dict[str, Any]]:
    """Which images of the reference set make each block."""
    length = context.facts.references["neighbours"].length
    assert length is not None, "validation refuses a reference set without end"
    size = _rows_in_memory(context, space)
    starts = range(0, length, size)
    return [
        {
            "block": number,
            "blocks": len(starts),
            "start": start,
            "stop": min(start + size, length),
        }
        for number, start in enumerate(starts)
    ]


def _cost(context: AuditContext) -> Cost:
    spec = _settings(context)
    images = sum(
        context.group_size(group)
        * (len(context.facts.generators) if group.role == "generated" else 1)
        for group in context.spec.audited
        if group.role != "simulated"
    )
    items = shards = 0
    for space in dict.fromkeys(spec.spaces):
        blocks = len(_blocks(context, space))
        items += blocks * images
        shards += blocks * -(-images // min(spec.shard_items, _rows_in_memory(context, space)))
    return Cost(items, shards, 0)


STAGE = Stage(
    table=NEIGHBOURS_TABLE,
    computations=(COMPUTATION,),
    description="nearest image of a reference set, in pixels or LPIPS: the baseline",
    needs=("images",),
    enabled=lambda spec: NEIGHBOURS.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
