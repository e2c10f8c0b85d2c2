"""Which images it may have copied, and which it cannot have."""

from typing import Self

from pydantic import Field, model_validator

from ...spec.model import Name, ReferenceSpec, ShardItems
from ...spec.stages import StageKey

NO_HELD_OUT = (
    "held_out is missing: how near images come to training images that they were not copied from "
    "is only known from real images that the generator was not trained on, and without them no "
    "image can be called a copy. Add held_out: {dataset: ..., split: test}, or remove this stage"
)


class CopiesSpec(ReferenceSpec):
    """Whether generated images are copies of training images, as they are or changed.

    ``dataset`` names the images that the generator was trained on, all of them; ``held_out``
    others of the same origin that it was not trained on. ``images`` are generated, or all samples
    where there are fewer, and as many held-out ones chosen at random, or all. The training images
    are read in blocks of ``block_mib`` as float32. Besides pixels, with a search of changes, images
    are compared in each of ``spaces``: what the last layer of the trained ``annotator`` sees, or
    the names under `extractors`.
    """

    held_out: ReferenceSpec | None = Field(default=None, description="needed for every verdict")
    spaces: tuple[Name, ...] = Field((), strict=False, description="of features, besides pixels")
    images: int = Field(default=1000, ge=1)
    block_mib: float = Field(default=64, gt=0)
    shard_items: ShardItems = 1024

    @model_validator(mode="after")
    def _each_space_once(self) -> Self:
        if len(set(self.spaces)) < len(self.spaces):
            raise ValueError(f"spaces names one twice: {', '.join(self.spaces)}; name each once")
        return self

    @model_validator(mode="after")
    def _has_held_out(self) -> Self:
        if self.held_out is None:
            raise ValueError(NO_HELD_OUT)
        return self


COPIES: StageKey[CopiesSpec] = StageKey("copies", CopiesSpec)
