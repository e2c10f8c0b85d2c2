"""How images are inverted."""

from typing import Literal

from pydantic import Field

from ...spec.model import SpecModel
from ...spec.stages import StageKey

InversionDistance = Literal["mse", "lpips"]


class InversionSpec(SpecModel):
    """Multi-restart inversion [IP B.2]: Adam, cosine rate, nearest-of-N starts."""

    iterations: int = Field(default=750, ge=1)
    restarts: int = Field(default=4, ge=1)
    candidates: int = Field(default=1000, ge=1)
    learning_rate: float = Field(default=0.2, gt=0)
    distance: InversionDistance = "mse"
    shard_items: int = Field(default=32, ge=1)


INVERSION: StageKey[InversionSpec] = StageKey("inversion", InversionSpec)
