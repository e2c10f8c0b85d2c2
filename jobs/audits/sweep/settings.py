"""Which numbers of transitions are tried."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from ...spec.model import ShardItems, SpecModel
from ...spec.stages import StageKey
from ..likelihood.settings import LikelihoodSpec


class SweepSpec(SpecModel):
    """Each estimator at every number of ``transitions``, on a sample of every group.

    The recommendation is the smallest number from which on the sandwich gap of at least 32
    simulated images is under ``tolerance`` nats, the mean's interval and all but a tenth of the
    images included; with fewer images there is none. The estimators are those of likelihood and
    comparison; a spec without these names its own.
    """

    transitions: tuple[Annotated[int, Field(ge=2)], ...] = Field(
        default=(50, 100, 200, 500), min_length=1, strict=False
    )
    images_per_group: int = Field(default=32, ge=2)
    tolerance: float = Field(default=1.0, gt=0)
    estimators: tuple[LikelihoodSpec, ...] | None = Field(default=None, min_length=1, strict=False)
    shard_items: ShardItems = 16

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if list(self.transitions) != sorted(set(self.transitions)):
            raise ValueError(
                f"stages.sweep.transitions: {list(self.transitions)}; expected increasing numbers"
            )
        names = [spec.estimator for spec in self.estimators or ()]
        if len(names) > len(set(names)):
            raise ValueError(f"stages.sweep.estimators: {names}; expected each one once")
        return self


SWEEP: StageKey[SweepSpec] = StageKey("sweep", SweepSpec)
