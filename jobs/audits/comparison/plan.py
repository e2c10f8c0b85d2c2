"""Plans the ``comparison`` stage: the likelihood's images again, by the other estimator."""

from ..likelihood.plan import estimating_stage

STAGE = estimating_stage("comparison", "the same densities by the other estimator")
