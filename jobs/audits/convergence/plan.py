"""Plans the ``convergence`` stage: each estimate again with one setting doubled, on a sample."""

from collections.abc import Iterator

from ....core.settings.classical import ClassicalSettings
from ....core.settings.definition import settings_in
from ....workers.likelihood import CONVERGENCE_TABLE, ESTIMATORS
from ....workers.shard import Shard
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...reduce.schema import DOUBLED
from ..likelihood.estimators import estimates, estimator_settings
from ..likelihood.sample import estimate_sample, plan_sample
from ..likelihood.settings import EstimatorSpec
from .settings import CONVERGENCE, ConvergenceSpec

VARIED = {
    "guided": DOUBLED,
    "classical": tuple(name for name in DOUBLED if name in settings_in(ClassicalSettings)),
}


def _settings(context: AuditContext) -> ConvergenceSpec:
    return CONVERGENCE.required(context.spec.stages)


def _variations(context: AuditContext) -> Iterator[tuple[str, EstimatorSpec]]:
    for spec in estimates(context.spec.stages).values():
        for varied in VARIED[spec.estimator]:
            yield varied, spec.model_copy(update={varied: 2 * getattr(spec, varied)})


def plan(context: PlanContext) -> list[Shard]:
    """The first images of every group under their own condition, for every doubled setting."""
    sample = _settings(context)
    return [
        shard
        for generator in context.facts.generators.values()
        for varied, spec in _variations(context)
        for shard in plan_sample(
            context,
            CONVERGENCE_TABLE,
            generator,
            spec,
            {**estimator_settings(context, generator, spec), "varied": varied},
            images_per_group=sample.images_per_group,
            shard_items=sample.shard_items,
        )
    ]


def _cost(context: AuditContext) -> Cost:
    sample = _settings(context)
    return estimate_sample(
        context,
        [spec for _, spec in _variations(context)],
        images_per_group=sample.images_per_group,
        shard_items=sample.shard_items,
    )


STAGE = Stage(
    table=CONVERGENCE_TABLE,
    computations=tuple(ESTIMATORS.values()),
    description="how much each estimate changes when one of its settings is doubled",
    needs=("images", "inversion", "variance", "tuning", "likelihood", "comparison"),
    enabled=lambda spec: CONVERGENCE.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
