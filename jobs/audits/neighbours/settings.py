"""Which reference set neighbours are sought in, and how."""

from typing import Literal

from pydantic import Field

from ...spec.model import ReferenceSpec, ShardItems
from ...spec.stages import StageKey


class NeighboursSpec(ReferenceSpec):
    """1-nearest-neighbour baselines: l2 in pixels, LPIPS, or both.

    A shard holds ``shard_items`` images against a block of the reference set. Neither takes more
    than ``block_mib`` of memory as float32 (pixels, or LPIPS features); fewer images make a shard
    where they are large.
    """

    spaces: tuple[Literal["pixels", "lpips"], ...] = Field(("pixels",), min_length=1, strict=False)
    block_mib: float = Field(default=256, gt=0)
    shard_items: ShardItems = 1024


NEIGHBOURS: StageKey[NeighboursSpec] = StageKey("neighbours", NeighboursSpec)
