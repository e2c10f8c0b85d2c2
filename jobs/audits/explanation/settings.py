"""How densities are explained."""

from ...spec.model import ShardItems, SpecModel
from ...spec.stages import StageKey


class ExplanationSpec(SpecModel):
    """What ln p(x) of each image is made of, and the bits that the image takes without loss.

    Densities are those of `likelihood`, and the terms start from the latents of `inversion`; both
    stages are needed.
    """

    shard_items: ShardItems = 256


EXPLANATION: StageKey[ExplanationSpec] = StageKey("explanation", ExplanationSpec)
