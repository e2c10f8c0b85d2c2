"""Along which paths a generator's latent is walked, and which images it may have memorised."""

from typing import Self

from pydantic import Field, model_validator

from ...spec.model import ReferenceSpec, ShardItems
from ...spec.stages import StageKey
from ..copies.settings import NO_HELD_OUT


class LatentPathsSpec(ReferenceSpec):
    """Steps along paths of the latent: whether the image stays at training images and jumps.

    ``dataset`` names the images that the generator was trained on, all of them; ``held_out``
    others of the same origin that it was not trained on, of which ``images`` are chosen at random,
    or all where there are fewer. Each of ``paths`` goes from one latent to another, in so many
    ``steps``, under one class, classes in turn. The training images are read in blocks of
    ``block_mib`` as float32.
    """

    held_out: ReferenceSpec | None = Field(default=None, description="needed for the test")
    paths: int = Field(default=50, ge=2)
    steps: int = Field(default=32, ge=8)
    images: int = Field(default=1000, ge=1)
    block_mib: float = Field(default=64, gt=0)
    shard_items: ShardItems = 10

    @model_validator(mode="after")
    def _has_held_out(self) -> Self:
        if self.held_out is None:
            raise ValueError(NO_HELD_OUT)
        return self


LATENT_PATHS: StageKey[LatentPathsSpec] = StageKey("latent_paths", LatentPathsSpec)
