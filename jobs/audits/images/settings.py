"""How images are materialised."""

from pydantic import Field

from ...spec.model import SpecModel


class ImagesSpec(SpecModel):
    """How images are materialised."""

    shard_items: int = Field(default=256, ge=1)
