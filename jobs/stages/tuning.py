"""Plans the ``tuning`` stage: pilot images on which step sizes are tuned, then frozen."""

from typing import Any

from ...workers.shard import Item, Shard
from ..spec import LikelihoodSpec
from ..validation import GeneratorFacts
from .images import generator_settings
from .stage import AuditContext, Estimate, ImageRecord, PlanContext, Stage, own_condition

# The runs of a pilot's chains that core.samplers.tuning makes; a test holds them equal.
RUNS_PER_PILOT = 11


def likelihood_spec(context: AuditContext) -> LikelihoodSpec:
    """The sampler's settings in the spec."""
    assert context.spec.stages.likelihood is not None
    return context.spec.stages.likelihood


def sampler_settings(context: PlanContext, generator: GeneratorFacts) -> dict[str, Any]:
    """What every sampling stage's rows depend on: weights, variance and the sampler's settings."""
    spec = likelihood_spec(context)
    return {
        **generator_settings(generator),
        "variance": context.variance(generator.name),
        "transitions": spec.transitions,
        "chains": spec.chains,
        "leapfrog_steps": spec.leapfrog_steps,
        "sigmoid_radius": spec.sigmoid_radius,
    }


def plan(context: PlanContext) -> list[Shard]:
    """One shard of pilots a generator, under their own conditions."""
    shards = []
    for generator in context.facts.generators.values():
        items = tuple(
            Item(
                generator=generator.name,
                condition=own_condition(generator, image.label, position),
                group=image.group,
                image_id=image.image_id,
                label=image.label,
                seed=context.seed("tuning", generator.name, image.image_id),
                image_part=image.part,
                image_row=image.row,
            )
            for position, image in enumerate(_pilots(context, generator))
        )
        compute = "offmanifold.workers.tuning:compute"
        shards.append(Shard("tuning", compute, sampler_settings(context, generator), items))
    return shards


def _pilots(context: PlanContext, generator: GeneratorFacts) -> list[ImageRecord]:
    roles = ("train", "test", "generated", "outlier")
    groups = sorted(
        (group for group in context.spec.groups if group.role != "simulated"),
        key=lambda group: roles.index(group.role),
    )
    images = [image for group in groups for image in context.images_under(generator, group)]
    return images[: likelihood_spec(context).pilots]


def _estimate(context: AuditContext) -> Estimate:
    spec, count = likelihood_spec(context), len(context.facts.generators)
    per_run = spec.chains * (spec.leapfrog_steps * (spec.transitions - 1) + 1)
    return Estimate(spec.pilots * count, count, spec.pilots * count * RUNS_PER_PILOT * per_run)


STAGE = Stage(
    name="tuning",
    description="step sizes as a function of beta, tuned on pilot images and frozen",
    needs=("images", "variance"),
    enabled=lambda spec: (
        spec.stages.likelihood is not None and spec.stages.likelihood.step_size == "tuned"
    ),
    plan=plan,
    estimate=_estimate,
)
