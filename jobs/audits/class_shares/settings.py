"""Which images the annotator learns from, and what it labels."""

from typing import Literal, Self

from pydantic import Field, model_validator

from ...spec.model import ReferenceSpec, ShardItems
from ...spec.own_classifier import OwnClassifierSpec
from ...spec.stages import StageKey

Architecture = Literal["linear", "resnet32"]


class AnnotatorSpec(ReferenceSpec):
    """A classifier [CB 3.2], trained on this labelled set of real images, which then labels others.

    `resnet32` is the 32-layer residual network for small images; `linear` the softmax of the
    pixels. Both are trained until the loss no longer falls, without augmentation. `own` is a
    classifier of yours in their place, for the classes of this set; what it learned from is not
    known here, so name images that it has not seen for `class_shares`.
    """

    own: OwnClassifierSpec | None = None
    architecture: Architecture = "resnet32"
    most_rounds: int = Field(
        default=300, ge=1, description="rounds after which training ends, converged or not"
    )

    @model_validator(mode="after")
    def _own_is_not_trained(self) -> Self:
        fields = type(self).model_fields
        for key in ("architecture", "most_rounds"):
            if self.own is not None and getattr(self, key) != fields[key].default:
                raise ValueError(f"own is a trained classifier; remove {key}")
        return self


class ClassSharesSpec(ReferenceSpec):
    """Class shares of generated images against those of this held-out set, both as annotated.

    A class-conditional generator is asked for the classes of the held-out set, as often as there.
    """

    split: str | None = "test"
    images: int | None = Field(
        default=None,
        ge=2,
        description="generated images to annotate; by default as many as the annotator learns "
        "from, or all samples where there are fewer",
    )
    shard_items: ShardItems = 2048


ANNOTATOR: StageKey[AnnotatorSpec] = StageKey("annotator", AnnotatorSpec)
CLASS_SHARES: StageKey[ClassSharesSpec] = StageKey("class_shares", ClassSharesSpec)
