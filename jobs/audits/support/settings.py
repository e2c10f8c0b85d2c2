"""How many images are held against each other, and which real ones."""

from pydantic import Field

from ...spec.model import ReferenceSpec
from ...spec.stages import StageKey


class SupportSpec(ReferenceSpec):
    """How often a generator repeats itself: near-duplicates among its images.

    ``dataset`` names real images. Two sets of as many of them as ``images`` are generated (or of
    half of them, where there are fewer) say how near two images are that are no duplicates, and how
    often real images are as near.
    """

    images: int = Field(default=1000, ge=64, le=5000)


SUPPORT: StageKey[SupportSpec] = StageKey("support", SupportSpec)
