"""How densities are estimated."""

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from ....core.settings.classical import ClassicalSettings
from ....core.settings.guided import GuidedSettings
from ...spec.model import ShardItems, SpecModel, setting
from ...spec.stages import StageKey
from ..banked import require_starts


class GuidedSpec(SpecModel):
    """Guided annealed importance sampling, from Gaussians at the modes of each image's posterior.

    The inversion stage's finalists join the searches where it minimised the squared error.

    On the shipped generators' own images half of these evaluations lose nothing; on
    outliers no search is known to be complete, and fewer find less: by a quarter of them, estimates
    on decoders with 8 latents were 1 to 7 nats low in the mean (`guided-ais.md`, "What fewer
    evaluations cost").
    """

    estimator: Literal["guided"] = "guided"
    transitions: int = setting(GuidedSettings, "transitions")
    chains: int = setting(GuidedSettings, "chains")
    leapfrog_steps: int = setting(GuidedSettings, "leapfrog_steps")
    forces: Literal["bfloat16"] | None = setting(GuidedSettings, "forces")
    restarts: int = setting(GuidedSettings, "restarts")
    candidates: int = setting(GuidedSettings, "candidates")
    bank: int = setting(GuidedSettings, "bank")
    iterations: int = setting(GuidedSettings, "iterations")
    finalists: int = setting(GuidedSettings, "finalists")
    final_iterations: int = setting(GuidedSettings, "final_iterations")
    polish: int = setting(GuidedSettings, "polish")
    inflation: float = setting(GuidedSettings, "inflation")
    tolerance: float | None = setting(GuidedSettings, "tolerance")
    doublings: int = setting(GuidedSettings, "doublings")
    shard_items: ShardItems = 32

    @model_validator(mode="after")
    def _bank_has_starts(self) -> Self:
        require_starts(self.bank, self.restarts)
        return self


class ClassicalSpec(SpecModel):
    """Annealed importance sampling from the prior, at the settings of [IP B.1].

    ``step_size: tuned`` tunes a step size for every beta on ``pilots`` images, then freezes it;
    ``adaptive`` is the classic rule of Wu et al. inside each chain.
    """

    estimator: Literal["classical"]
    transitions: int = setting(ClassicalSettings, "transitions")
    chains: int = setting(ClassicalSettings, "chains")
    leapfrog_steps: int = setting(ClassicalSettings, "leapfrog_steps")
    sigmoid_radius: float = setting(ClassicalSettings, "sigmoid_radius")
    forces: Literal["bfloat16"] | None = setting(ClassicalSettings, "forces")
    step_size: Literal["tuned", "adaptive"] = "tuned"
    pilots: int = Field(default=16, ge=1)
    shard_items: ShardItems = 32


def _estimator(value: Any) -> Any:
    if isinstance(value, dict):
        return value.get("estimator", "guided")
    return getattr(value, "estimator", "guided")


LikelihoodSpec = Annotated[
    Annotated[GuidedSpec, Tag("guided")] | Annotated[ClassicalSpec, Tag("classical")],
    Discriminator(_estimator),
]


EstimatorSpec = GuidedSpec | ClassicalSpec

LIKELIHOOD: StageKey[EstimatorSpec] = StageKey("likelihood", LikelihoodSpec)
