"""Plans the ``sweep`` stage: a sample's densities at every number of transitions [IP Fig. 9]."""

from collections.abc import Iterator

from ....workers.likelihood import ESTIMATORS, SWEEP_TABLE
from ....workers.shard import Shard
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ..likelihood.estimators import estimator_settings, swept
from ..likelihood.sample import Variation, estimate_sample, plan_sample
from ..likelihood.settings import EstimatorSpec, GuidedSpec
from .settings import SWEEP, SweepSpec


def _settings(context: AuditContext) -> SweepSpec:
    return SWEEP.required(context.spec.stages)


def _variations(context: AuditContext) -> Iterator[EstimatorSpec]:
    """Each estimator at each number of transitions, which no tolerance may raise."""
    for spec in swept(context.spec.stages):
        for transitions in _settings(context).transitions:
            if isinstance(spec, GuidedSpec):
                yield spec.model_copy(update={"transitions": transitions, "tolerance": None})
            else:
                yield spec.model_copy(update={"transitions": transitions})


def plan(context: PlanContext) -> list[Shard]:
    """A sample of every group under their own condition, for every estimator and T."""
    sweep = _settings(context)
    return [
        shard
        for generator in context.facts.generators.values()
        for spec in _variations(context)
        for shard in plan_sample(
            context,
            SWEEP_TABLE,
            generator,
            Variation(spec),
            estimator_settings(context, generator, spec),
            images_per_group=sweep.images_per_group,
            shard_items=sweep.shard_items,
        )
    ]


def _cost(context: AuditContext) -> Cost:
    sweep = _settings(context)
    return estimate_sample(
        context,
        [Variation(spec) for spec in _variations(context)],
        images_per_group=sweep.images_per_group,
        shard_items=sweep.shard_items,
    )


STAGE = Stage(
    table=SWEEP_TABLE,
    computations=tuple(ESTIMATORS.values()),
    description="a sample's densities by the number of transitions, and how many are enough",
    needs=("images", "inversion", "variance", "tuning"),
    enabled=lambda spec: SWEEP.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
