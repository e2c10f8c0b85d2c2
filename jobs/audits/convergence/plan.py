"""Plans the ``convergence`` stage: each estimate of a sample again, varied.

One setting is doubled at a time, and then none: a replicate has the same settings and other seeds.
"""

from collections.abc import Iterator

from ....core.settings.classical import ClassicalSettings
from ....core.settings.definition import settings_in
from ....workers.likelihood import CONVERGENCE_TABLE, ESTIMATORS, PROBED
from ....workers.shard import Shard
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...reduce.schema import DOUBLED, REPLICATE
from ..likelihood.estimators import estimates, estimator_settings
from ..likelihood.sample import Variation, estimate_sample, plan_sample
from .settings import CONVERGENCE, ConvergenceSpec

VARIED = {
    "guided": DOUBLED,
    "classical": tuple(name for name in DOUBLED if name in settings_in(ClassicalSettings)),
}


def _settings(context: AuditContext) -> ConvergenceSpec:
    return CONVERGENCE.required(context.spec.stages)


def _variations(context: AuditContext) -> Iterator[Variation]:
    """Restarts are doubled by a probe of another law: more of the same find the same again."""
    for spec in estimates(context.spec.stages).values():
        for varied in VARIED[spec.estimator]:
            if varied == "restarts":
                yield Variation(spec, varied, probe=True)
            else:
                doubled = spec.model_copy(update={varied: 2 * getattr(spec, varied)})
                yield Variation(doubled, varied)
        yield Variation(spec, REPLICATE, replicate=True)


def plan(context: PlanContext) -> list[Shard]:
    """A sample of every group under their own condition, for every variation."""
    sample = _settings(context)
    return [
        shard
        for generator in context.facts.generators.values()
        for variation in _variations(context)
        for shard in plan_sample(
            context,
            CONVERGENCE_TABLE,
            generator,
            variation,
            {
                **estimator_settings(
                    context,
                    generator,
                    variation.spec,
                    replicate=variation.replicate,
                    probe=variation.probe,
                ),
                "varied": variation.varied,
            },
            images_per_group=sample.images_per_group,
            shard_items=sample.shard_items,
        )
    ]


def _cost(context: AuditContext) -> Cost:
    sample = _settings(context)
    return estimate_sample(
        context,
        _variations(context),
        images_per_group=sample.images_per_group,
        shard_items=sample.shard_items,
    )


STAGE = Stage(
    table=CONVERGENCE_TABLE,
    computations=(*ESTIMATORS.values(), PROBED),
    description="how much each estimate changes when a setting is doubled or its seeds change",
    needs=("images", "inversion", "variance", "tuning", "likelihood", "comparison"),
    enabled=lambda spec: CONVERGENCE.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
