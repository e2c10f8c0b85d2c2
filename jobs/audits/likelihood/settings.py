"""How densities are estimated."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from ...spec.model import SpecModel
from ...spec.stages import StageKey


class GuidedSpec(SpecModel):
    """Guided annealed importance sampling, from Gaussians at the modes of each image's posterior.

    ``restarts`` searches for modes, each from the best of ``candidates`` starts, descend for
    ``iterations`` of Adam, the best ``finalists`` of them for ``final_iterations`` more; the
    inversion stage's restarts join those where it minimised the squared error. The best of all are
    polished, with ``polish`` Jacobians each. ``inflation`` widens the Gaussians' standard
    deviations: the more the generator curves, the more the posterior spreads around its modes, and
    the wider they must be. With a ``tolerance`` in nats, an image's transitions and restarts are
    doubled, at most ``doublings`` times, until its estimate settles.
    """

    estimator: Literal["guided"] = "guided"
    transitions: int = Field(default=500, ge=1)
    chains: int = Field(default=4, ge=1)
    leapfrog_steps: int = Field(default=3, ge=1)
    restarts: int = Field(default=75, ge=1)
    candidates: int = Field(default=8, ge=1)
    iterations: int = Field(default=100, ge=1)
    finalists: int = Field(default=10, ge=1)
    final_iterations: int = Field(default=200, ge=0)
    polish: int = Field(default=8, ge=0)
    inflation: float = Field(default=3.0, ge=1)
    tolerance: float | None = Field(default=None, gt=0)
    doublings: int = Field(default=3, ge=1)
    shard_items: int = Field(default=32, ge=1)


class ClassicalSpec(SpecModel):
    """Annealed importance sampling from the prior, at the settings of [IP B.1].

    ``step_size: tuned`` tunes a step size for every beta on ``pilots`` images, then freezes it;
    ``adaptive`` is the classic rule of Wu et al. inside each chain.
    """

    estimator: Literal["classical"]
    transitions: int = Field(default=500, ge=2)
    chains: int = Field(default=4, ge=1)
    leapfrog_steps: int = Field(default=10, ge=1)
    sigmoid_radius: float = Field(default=4.0, gt=0)
    step_size: Literal["tuned", "adaptive"] = "tuned"
    pilots: int = Field(default=16, ge=1)
    shard_items: int = Field(default=32, ge=1)


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
