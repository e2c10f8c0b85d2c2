"""Which classifiers are trained, and on what."""

from itertools import pairwise

from pydantic import Field, field_validator

from ...spec.model import SpecModel
from ...spec.stages import StageKey
from ..class_shares.settings import Architecture


class DiversitySpec(SpecModel):
    """Classifiers of generated images, tested on real ones, beside those of fewer real images.

    Real images are those of `annotator`, and classifiers are tested on those of `class_shares`
    [CB 3.4]. Each is trained `repeats` times: on another draw, with another seed. Images without a
    class are given the annotator's.
    """

    architectures: tuple[Architecture, ...] = Field(("linear",), min_length=1, strict=False)
    factors: tuple[int, ...] = Field(
        default=(1, 4, 16, 64),
        min_length=2,
        strict=False,
        description="classifiers learn from 1/M of the real images, for each such M; 1 comes first",
    )
    multiples: tuple[int, ...] = Field(
        default=(1,),
        min_length=1,
        strict=False,
        description="and from so many times as many generated images; 1 comes first",
    )
    repeats: int = Field(default=3, ge=2)
    real_and_generated: bool = Field(
        default=False, description="whether classifiers learn from both together, too"
    )
    most_rounds: int = Field(
        default=300, ge=1, description="rounds after which training ends, converged or not"
    )

    @field_validator("factors", "multiples")
    @classmethod
    def _ascend_from_one(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if value[0] != 1 or any(later <= earlier for earlier, later in pairwise(value)):
            raise ValueError(f"{list(value)}: expected 1 and numbers that ascend from it")
        return value


DIVERSITY: StageKey[DiversitySpec] = StageKey("diversity", DiversitySpec)
