"""How reconstructions are measured in LPIPS."""

from pydantic import Field

from ...spec.model import SpecModel


class ReconstructionSpec(SpecModel):
    """LPIPS of the inversion's reconstructions, whatever distance they minimise."""

    shard_items: int = Field(default=256, ge=1)
