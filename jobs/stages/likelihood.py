"""Plans the ``likelihood`` stage: AIS of every image under its conditions, simulated ones too."""

from collections.abc import Iterator
from dataclasses import dataclass

from ...workers.schema import STATUS_OK
from ...workers.shard import Item, Shard, chunk
from ..spec import GroupSpec
from ..validation import GeneratorFacts
from .stage import (
    AuditContext,
    Estimate,
    ImageRecord,
    PlanContext,
    Stage,
    StageError,
    conditions_of,
    group_pairs,
    own_condition,
)
from .tuning import likelihood_spec, sampler_settings

COMPUTE = "offmanifold.workers.likelihood:compute"


@dataclass(frozen=True)
class Subject:
    """An image to be evaluated: a stored one, or one that the worker simulates."""

    group: GroupSpec
    position: int
    image_id: str
    label: int | None
    stored: ImageRecord | None


def subjects(
    context: PlanContext, generator: GeneratorFacts, *, simulated: bool
) -> Iterator[Subject]:
    """The images that a generator's densities are estimated for, in the order of the groups."""
    for group in context.spec.groups:
        if group.role == "simulated" and simulated:
            for position in range(context.group_size(group)):
                label = own_condition(generator, None, position)
                image_id = f"{group.name}-{generator.name}-{position:06d}"
                yield Subject(group, position, image_id, label, None)
        elif group.role != "simulated" and not simulated:
            for position, image in enumerate(context.images_under(generator, group)):
                yield Subject(group, position, image.image_id, image.label, image)


def item(
    context: PlanContext,
    stage: str,
    generator: GeneratorFacts,
    subject: Subject,
    condition: int | None,
) -> Item:
    """The item that evaluates a subject under a condition."""
    stored = subject.stored
    return Item(
        generator=generator.name,
        condition=condition,
        group=subject.group.name,
        image_id=subject.image_id,
        label=subject.label,
        seed=context.seed(stage, generator.name, condition, subject.image_id),
        image_part=None if stored is None else stored.part,
        image_row=None if stored is None else stored.row,
        image_seed=None
        if stored is not None
        else context.seed("simulated", generator.name, subject.image_id),
    )


def plan(context: PlanContext) -> list[Shard]:
    """Shards of (generator, image, condition); simulated images apart from stored ones."""
    spec = likelihood_spec(context)
    shards: list[Shard] = []
    for generator in context.facts.generators.values():
        settings = {
            **sampler_settings(context, generator),
            "step_size_schedule": frozen_schedule(context, generator, spec.transitions),
        }
        for simulated in (False, True):
            items = [
                item(context, "likelihood", generator, subject, condition)
                for subject in subjects(context, generator, simulated=simulated)
                for condition in conditions_of(
                    generator, subject.group, subject.label, subject.position
                )
            ]
            shards += chunk("likelihood", COMPUTE, settings, items, spec.shard_items)
    return shards


def frozen_schedule(
    context: PlanContext, generator: GeneratorFacts, transitions: int
) -> list[float] | None:
    """The step size of each transition out of the pilots' results; None in adaptive mode.

    Raises:
        StageError: when no pilot succeeded.
    """
    if likelihood_spec(context).step_size == "adaptive":
        return None
    import torch

    from ...core.likelihood import combine_step_sizes, resample_schedule
    from ...core.samplers.schedule import sigmoid_schedule

    columns = ["generator", "status", "error", "beta", "step_size"]
    rows = context.run.read("tuning", context.shard_ids("tuning"), columns).to_pylist()
    mine = [row for row in rows if row["generator"] == generator.name]
    good = [row for row in mine if row["status"] == STATUS_OK]
    if not good:
        errors = sorted({row["error"] for row in mine})
        raise StageError(f"stage tuning: no pilot image of {generator.name} succeeded: {errors}")
    step_sizes = torch.tensor([row["step_size"] for row in good], dtype=torch.float64)
    beta = torch.tensor(good[0]["beta"], dtype=torch.float64)
    wanted = sigmoid_schedule(transitions, likelihood_spec(context).sigmoid_radius)[1:-1]
    schedule: list[float] = resample_schedule(beta, combine_step_sizes(step_sizes), wanted).tolist()
    return schedule


def _evaluations(context: AuditContext, items: int, transitions: int) -> int:
    spec = likelihood_spec(context)
    return items * spec.chains * (spec.leapfrog_steps * (transitions - 1) + 1)


def sampling_estimate(
    context: AuditContext, items: int, transitions: int, shard_items: int
) -> Estimate:
    """The cost of so many AIS items."""
    return Estimate(items, -(-items // shard_items), _evaluations(context, items, transitions))


def _estimate(context: AuditContext) -> Estimate:
    spec = likelihood_spec(context)
    items = bounds = 0
    for generator in context.facts.generators.values():
        for group in context.spec.groups:
            items += group_pairs(context, generator, group)
            bounds += context.group_size(group) if group.role == "simulated" else 0
    forward = sampling_estimate(context, items, spec.transitions, spec.shard_items)
    reverse = _evaluations(context, bounds, spec.transitions)
    return Estimate(forward.items, forward.shards, forward.evaluations + reverse)


STAGE = Stage(
    name="likelihood",
    description="ln p(x) by annealed importance sampling",
    needs=("images", "variance", "tuning"),
    enabled=lambda spec: spec.stages.likelihood is not None,
    plan=plan,
    estimate=_estimate,
)
