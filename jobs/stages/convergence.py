"""Plans the ``convergence`` stage: each estimate again with one setting doubled, on a sample."""

from collections.abc import Iterator

from ...workers.shard import Shard, chunk
from ..stage_specs import ConvergenceSpec
from .estimators import (
    EstimatorSpec,
    estimator_settings,
    evaluations_per_item,
    reverse_evaluations,
)
from .likelihood import COMPUTE, item, subjects
from .stage import AuditContext, Estimate, PlanContext, Stage, own_condition

VARIED = {
    "guided": ("transitions", "chains", "restarts"),
    "classical": ("transitions", "chains"),
}


def _settings(context: AuditContext) -> ConvergenceSpec:
    assert context.spec.stages.convergence is not None
    return context.spec.stages.convergence


def _variations(context: AuditContext) -> Iterator[tuple[str, EstimatorSpec]]:
    for spec in context.spec.stages.estimates.values():
        for varied in VARIED[spec.estimator]:
            yield varied, spec.model_copy(update={varied: 2 * getattr(spec, varied)})


def plan(context: PlanContext) -> list[Shard]:
    """The first images of every group under their own condition, for every doubled setting."""
    sample = _settings(context)
    shards: list[Shard] = []
    for generator in context.facts.generators.values():
        for varied, spec in _variations(context):
            settings = {**estimator_settings(context, generator, spec), "varied": varied}
            for simulated in (False, True):
                items = [
                    item(
                        context,
                        spec,
                        generator,
                        subject,
                        own_condition(generator, subject.label, subject.position),
                    )
                    for subject in subjects(context, generator, simulated=simulated)
                    if subject.position < sample.images_per_group
                ]
                shards += chunk("convergence", COMPUTE, settings, items, sample.shard_items)
    return shards


def _estimate(context: AuditContext) -> Estimate:
    sample = _settings(context)
    items = shards = evaluations = 0
    for generator in context.facts.generators.values():
        for _, spec in _variations(context):
            for group in context.spec.groups:
                count = min(sample.images_per_group, context.group_size(group))
                items += count
                evaluations += count * evaluations_per_item(context, generator, group, spec)
                if group.role == "simulated":
                    evaluations += count * reverse_evaluations(spec)
            shards += 1
    return Estimate(items, max(shards, -(-items // sample.shard_items)), evaluations)


STAGE = Stage(
    name="convergence",
    description="how much each estimate changes when one of its settings is doubled",
    needs=("images", "inversion", "variance", "tuning", "likelihood", "comparison"),
    enabled=lambda spec: spec.stages.convergence is not None,
    plan=plan,
    estimate=_estimate,
)
