"""Plans the ``comparison`` stage: the likelihood's images again, by the other estimator."""

from .estimators import EstimatorSpec
from .likelihood import estimate_cost, plan_estimates
from .stage import AuditContext, Stage


def _spec(context: AuditContext) -> EstimatorSpec:
    return context.spec.stages.estimates["comparison"]


STAGE = Stage(
    name="comparison",
    description="the same densities by the other estimator",
    needs=("images", "inversion", "variance", "tuning"),
    enabled=lambda spec: spec.stages.comparison is not None,
    plan=lambda context: plan_estimates(context, "comparison", _spec(context)),
    estimate=lambda context: estimate_cost(context, _spec(context)),
)
