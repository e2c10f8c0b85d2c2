"""How images are inverted."""

from typing import Literal

from pydantic import Field

from ....core.settings.inversion import InversionSettings
from ...spec.model import SpecModel, setting
from ...spec.stages import StageKey

InversionDistance = Literal["mse", "lpips"]


class InversionSpec(SpecModel):
    """Multi-restart inversion [IP B.2]: Adam, cosine rate, nearest-of-N starts."""

    iterations: int = setting(InversionSettings, "iterations")
    restarts: int = setting(InversionSettings, "restarts")
    candidates: int = setting(InversionSettings, "candidates")
    learning_rate: float = setting(InversionSettings, "learning_rate")
    distance: InversionDistance = "mse"
    shard_items: int = Field(default=32, ge=1)


INVERSION: StageKey[InversionSpec] = StageKey("inversion", InversionSpec)
