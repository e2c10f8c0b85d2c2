"""Which real images sets are held against, in which spaces, and how large the sets are."""

from typing import Self

from pydantic import Field, model_validator

from ...spec.model import Name, ReferenceSpec, ShardItems
from ...spec.stages import StageKey

PIXELS, PCA = "pixels", "pca"
"""Spaces that are there without a network."""
FEWEST_IMAGES = 64
"""Of a set."""


class DistancesSpec(ReferenceSpec):
    """Distances between sets of images: Frechet's and the kernel distance, precision and recall.

    ``dataset`` names real images. ``images`` of them are the reference, against which ``sets``
    sets of as many generated images are held, and of as many other real ones, or as many such sets
    as there are images for. ``spaces`` are those of the features: ``pixels``; ``pca``, the first
    ``components`` principal components of the reference; what the last layer of the ``annotator``
    sees, which learned from other images; and the names under `extractors`.
    """

    spaces: tuple[Name, ...] = Field((PIXELS,), min_length=1, strict=False)
    components: int = Field(default=50, ge=2, description="of the space pca")
    images: int = Field(default=1000, ge=FEWEST_IMAGES)
    sets: int = Field(
        default=5, ge=1, description="independent sets, of which intervals need at least 3"
    )
    shard_items: ShardItems = 1024

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.spaces)) < len(self.spaces):
            raise ValueError(f"spaces names one twice: {', '.join(self.spaces)}; name each once")
        return self


DISTANCES: StageKey[DistancesSpec] = StageKey("distances", DistancesSpec)
