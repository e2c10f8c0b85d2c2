"""Plans the ``comparison`` stage: the likelihood's images again, by the other estimator."""

from ....workers.likelihood import COMPARISON_TABLE
from ..likelihood.plan import estimating_stage
from .settings import COMPARISON

STAGE = estimating_stage(COMPARISON, COMPARISON_TABLE, "the same densities by the other estimator")
