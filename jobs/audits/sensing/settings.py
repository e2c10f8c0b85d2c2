"""How images are measured and restored."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from ....core.settings.sensing import SensingSettings
from ...spec.model import ReferenceSpec, ShardItems, setting
from ...spec.stages import StageKey
from ..banked import require_starts


class SensingSpec(ReferenceSpec):
    """Compressed sensing [HU 2.2]: restoration from ``measurements`` random projections.

    ``images_per_group`` images of every stored group are restored. The baseline,
    probabilistic PCA with ``components``, is fitted to the reference set. Without a value,
    ``measurements`` are D/32, D/16, D/8, D/4 and D/2 of an image's D values, and ``components``
    the smaller of 500 and D/2.
    """

    measurements: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        default=None, min_length=1, strict=False
    )
    components: int | None = Field(default=None, ge=1)
    noise: float = setting(SensingSettings, "noise")
    images_per_group: int = Field(default=32, ge=1)
    restarts: int = setting(SensingSettings, "restarts")
    candidates: int = setting(SensingSettings, "candidates")
    bank: int = setting(SensingSettings, "bank")
    iterations: int = setting(SensingSettings, "iterations")
    finalists: int = setting(SensingSettings, "finalists")
    final_iterations: int = setting(SensingSettings, "final_iterations")
    polish: int = setting(SensingSettings, "polish")
    learning_rate: float = setting(SensingSettings, "learning_rate")
    shard_items: ShardItems = 32

    @model_validator(mode="after")
    def _bank_has_starts(self) -> Self:
        require_starts(self.bank, self.restarts)
        return self

    def measurements_of(self, dimensions: int) -> list[int]:
        """The numbers of measurements for images of so many values, ascending."""
        if self.measurements is not None:
            return sorted(set(self.measurements))
        return sorted({max(1, dimensions // part) for part in (32, 16, 8, 4, 2)})

    def components_of(self, dimensions: int) -> int:
        """The baseline's components for images of so many values."""
        return self.components or max(1, min(500, dimensions // 2))


SENSING: StageKey[SensingSpec] = StageKey("sensing", SensingSpec)
