"""How the densities are estimated again, by the other estimator."""

from ...spec.stages import StageKey
from ..likelihood.settings import EstimatorSpec, LikelihoodSpec

COMPARISON: StageKey[EstimatorSpec] = StageKey("comparison", LikelihoodSpec)
