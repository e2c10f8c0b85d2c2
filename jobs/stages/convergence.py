"""Plans the ``convergence`` stage: the likelihood again with twice the transitions, on a sample."""

from ...workers.shard import Shard, chunk
from ..spec import ConvergenceSpec
from .likelihood import COMPUTE, frozen_schedule, item, sampling_estimate, subjects
from .stage import AuditContext, Estimate, PlanContext, Stage, own_condition
from .tuning import likelihood_spec, sampler_settings


def _settings(context: AuditContext) -> ConvergenceSpec:
    assert context.spec.stages.convergence is not None
    return context.spec.stages.convergence


def plan(context: PlanContext) -> list[Shard]:
    """The first images of every group under their own condition, at twice the transitions."""
    spec = _settings(context)
    transitions = 2 * likelihood_spec(context).transitions
    shards: list[Shard] = []
    for generator in context.facts.generators.values():
        settings = {
            **sampler_settings(context, generator),
            "transitions": transitions,
            "step_size_schedule": frozen_schedule(context, generator, transitions),
        }
        for simulated in (False, True):
            items = [
                item(
                    context,
                    "convergence",
                    generator,
                    subject,
                    own_condition(generator, subject.label, subject.position),
                )
                for subject in subjects(context, generator, simulated=simulated)
                if subject.position < spec.images_per_group
            ]
            shards += chunk("convergence", COMPUTE, settings, items, spec.shard_items)
    return shards


def _estimate(context: AuditContext) -> Estimate:
    spec = _settings(context)
    items = len(context.facts.generators) * sum(
        min(spec.images_per_group, context.group_size(group)) for group in context.spec.groups
    )
    transitions = 2 * likelihood_spec(context).transitions
    return sampling_estimate(context, items, transitions, spec.shard_items)


STAGE = Stage(
    name="convergence",
    description="how much the likelihood changes when the transitions are doubled",
    needs=("images", "variance", "tuning", "likelihood"),
    enabled=lambda spec: spec.stages.convergence is not None,
    plan=plan,
    estimate=_estimate,
)
