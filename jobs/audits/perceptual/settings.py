"""How reconstructions are measured in LPIPS."""

from pydantic import Field

from ...spec.model import SpecModel
from ...spec.stages import StageKey


class PerceptualSpec(SpecModel):
    """LPIPS of the inversion's reconstructions, whatever distance it minimised."""

    shard_items: int = Field(default=256, ge=1)


PERCEPTUAL: StageKey[PerceptualSpec] = StageKey("perceptual", PerceptualSpec)
