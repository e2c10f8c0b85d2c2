"""How reconstructions are measured in LPIPS."""

from ...spec.model import ShardItems, SpecModel
from ...spec.stages import StageKey


class PerceptualSpec(SpecModel):
    """LPIPS of the inversion's reconstructions, whatever distance it minimised."""

    shard_items: ShardItems = 256


PERCEPTUAL: StageKey[PerceptualSpec] = StageKey("perceptual", PerceptualSpec)
