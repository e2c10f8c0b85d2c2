"""How images are materialised."""

from ...spec.model import ShardItems, SpecModel
from ...spec.stages import StageKey


class ImagesSpec(SpecModel):
    """How images are materialised."""

    shard_items: ShardItems = 256


IMAGES: StageKey[ImagesSpec] = StageKey("images", ImagesSpec, ImagesSpec())
