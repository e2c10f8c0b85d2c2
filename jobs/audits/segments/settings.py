"""Which real images generated ones are held against, object by object."""

from pydantic import Field

from ...spec.model import ReferenceSpec, ShardItems
from ...spec.stages import StageKey


class SegmentsSpec(ReferenceSpec):
    """How much of generated and of real images is of each class of objects.

    The spec's ``segmenter`` says what is in an image. ``images`` of ``dataset`` are chosen at
    random, or all where there are fewer, and as many are generated, under the classes of those
    where the generator takes one.
    """

    split: str | None = "test"
    images: int = Field(default=1000, ge=2)
    shard_items: ShardItems = 256


SEGMENTS: StageKey[SegmentsSpec] = StageKey("segments", SegmentsSpec)
