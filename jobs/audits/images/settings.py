"""How images are materialised."""

from pydantic import Field

from ...spec.model import SpecModel
from ...spec.stages import StageKey


class ImagesSpec(SpecModel):
    """How images are materialised."""

    shard_items: int = Field(default=256, ge=1)


IMAGES: StageKey[ImagesSpec] = StageKey("images", ImagesSpec, ImagesSpec())
