"""Plans the ``neighbours`` stage: every stored image against every block of a reference set."""

import math
from typing import Any

from ....workers.neighbours import COMPUTATION, NEIGHBOURS_TABLE
from ....workers.shard import Shard, chunk
from ....workers.timed_parts import QUERIES, REFERENCES, NearestPart
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...plan.work import Chore
from ..images.plan import reading_chore, reference_settings
from ..perceptual.plan import backbone_settings, lpips_chore
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
    width = _width(context, space)
    return max(1, int(_settings(context).block_mib * 2**20 / (_FLOAT32_BYTES * width)))


def _width(context: AuditContext, space: str) -> int:
    """How many values an image's vector in this space has."""
    if space == "pixels":
        return math.prod(context.facts.image_shape)
    backbone = context.facts.backbone
    assert backbone is not None, "validation opens the backbone of a spec that uses LPIPS"
    return backbone.features


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
    reference = context.facts.references["neighbours"]
    length = reference.length or 0
    chores: list[Chore] = []
    for space in dict.fromkeys(spec.spaces):
        blocks = len(_blocks(context, space))
        items += blocks * images
        of_block = -(-images // min(spec.shard_items, _rows_in_memory(context, space)))
        shards += blocks * of_block
        chores.append(reading_chore(context, reference, length))
        if space == "lpips":
            # A pair's LPIPS takes the features of both; of a query they are taken for every block.
            chores.append(lpips_chore(context, (length + blocks * images) / 2))
        part = NearestPart(_width(context, space), reference.num_classes)
        chores.append(Chore.of("neighbours", part, images * length / (QUERIES * REFERENCES)))
    return Cost(items, shards, 0, chores=tuple(chores))


STAGE = Stage(
    table=NEIGHBOURS_TABLE,
    computations=(COMPUTATION,),
    description="nearest image of a reference set, in pixels or LPIPS: the baseline",
    needs=("images",),
    enabled=lambda spec: NEIGHBOURS.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
