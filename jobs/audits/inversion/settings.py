"""How images are inverted."""

from typing import Literal, Self

from pydantic import model_validator

from ....core.settings.inversion import InversionSettings
from ...spec.model import ShardItems, SpecModel, setting
from ...spec.stages import StageKey
from ..banked import require_starts

InversionDistance = Literal["mse", "lpips"]


class InversionSpec(SpecModel):
    """Inversion [IP B.2] by the guided estimator's search, from the same bank.

    It ends in Levenberg-Marquardt. With ``distance: lpips`` there are no residuals for that: Adam
    alone minimises it, and ``polish`` is not used.
    """

    restarts: int = setting(InversionSettings, "restarts")
    candidates: int = setting(InversionSettings, "candidates")
    bank: int = setting(InversionSettings, "bank")
    iterations: int = setting(InversionSettings, "iterations")
    finalists: int = setting(InversionSettings, "finalists")
    final_iterations: int = setting(InversionSettings, "final_iterations")
    polish: int = setting(InversionSettings, "polish")
    learning_rate: float = setting(InversionSettings, "learning_rate")
    distance: InversionDistance = "mse"
    shard_items: ShardItems = 32

    @model_validator(mode="after")
    def _bank_has_starts(self) -> Self:
        require_starts(self.bank, self.restarts)
        return self

    @property
    def ends(self) -> int:
        """How many latents an inversion leaves for other stages to start from."""
        return min(self.finalists, self.restarts)


INVERSION: StageKey[InversionSpec] = StageKey("inversion", InversionSpec)
