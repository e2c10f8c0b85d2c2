"""How local variation is measured."""

from pydantic import Field

from ...spec.model import ShardItems, SpecModel
from ...spec.stages import StageKey


class LocalVariationSpec(SpecModel):
    """Standard deviation over mean in 8x8 patches [IP Fig. 7], the mean being at least a floor."""

    mean_floor: float = Field(default=0.05, gt=0)
    shard_items: ShardItems = 1024


LOCAL_VARIATION: StageKey[LocalVariationSpec] = StageKey("local_variation", LocalVariationSpec)
