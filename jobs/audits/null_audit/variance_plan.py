"""Plans the ``null_variance`` stage: the variance of the null's images, fitted as the data's is."""

from ....workers.shard import Shard
from ....workers.variance import ESTIMATORS, NULL_VARIANCE_TABLE
from ....workers.variance_fit import NULL_FIT_TABLE
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...spec.audit import AuditSpec
from ..variance.plan import fit_settings, variance_shard
from ..variance.settings import VARIANCE
from .fit_plan import split_items


def plan(context: PlanContext) -> list[Shard]:
    """One shard a generator."""
    assert context.spec.null is not None
    shards = []
    for generator in context.facts.generators.values():
        fitted, _ = split_items(context, generator)
        images = [(item.image_id, item.condition) for item in fitted]
        settings = fit_settings(context, NULL_FIT_TABLE, images)
        shards.append(
            variance_shard(NULL_VARIANCE_TABLE, generator.name, context.spec.null.name, settings)
        )
    return shards


def fits_null(spec: AuditSpec) -> bool:
    """Whether the null's variance is fitted, as the data's is."""
    variance = VARIANCE.of(spec.stages)
    return spec.null is not None and variance is not None and variance.value is None


def _cost(context: AuditContext) -> Cost:
    count = len(context.facts.generators)
    return Cost(count, count, 0, brief=True)


STAGE = Stage(
    table=NULL_VARIANCE_TABLE,
    computations=tuple(ESTIMATORS.values()),
    description="the null audit: the variance of the model's own samples, fitted like the data's",
    needs=("null_fit",),
    enabled=fits_null,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
