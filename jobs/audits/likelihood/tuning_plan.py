"""Plans the ``tuning`` stage: pilot images on which step sizes are tuned, then frozen."""

from dataclasses import replace

from ....core.settings.chains import chain_calls
from ....core.settings.classical import ClassicalSettings
from ....core.settings.definition import setting_values
from ....workers.shard import Shard
from ....workers.tuning import COMPUTATION, TUNING_TABLE
from ...plan.stage import AuditContext, Cost, ImageRecord, PlanContext, Stage, own_condition
from ...plan.work import Work
from ...spec.audit import AuditSpec
from ...spec.facts import GeneratorFacts
from ..images.plan import generator_settings
from .estimators import all_estimators
from .settings import ClassicalSpec

# The runs of a pilot's chains that core.samplers.tuning makes; a test holds them equal.
RUNS_PER_PILOT = 11


def tuned_spec(spec: AuditSpec) -> ClassicalSpec | None:
    """The classical estimator whose step sizes are to be tuned, if the spec has one."""
    for estimator in all_estimators(spec.stages):
        if isinstance(estimator, ClassicalSpec) and estimator.step_size == "tuned":
            return estimator
    return None


def _settings(context: AuditContext) -> ClassicalSpec:
    spec = tuned_spec(context.spec)
    assert spec is not None
    return spec


def plan(context: PlanContext) -> list[Shard]:
    """One shard of pilots a generator, under their own conditions."""
    spec = _settings(context)
    shards = []
    for generator in context.facts.generators.values():
        settings = {
            **generator_settings(generator),
            "variance": context.variance(generator.name),
            **setting_values(ClassicalSettings, spec),
        }
        items = tuple(
            image.item(
                generator.name,
                own_condition(context, generator, image.label, position),
                context.seed("tuning", generator.name, image.image_id),
            )
            for position, image in enumerate(_pilots(context, generator, spec.pilots))
        )
        shards.append(Shard(TUNING_TABLE, COMPUTATION, settings, items))
    return shards


def _pilots(context: PlanContext, generator: GeneratorFacts, count: int) -> list[ImageRecord]:
    roles = ("train", "test", "generated", "outlier")
    groups = sorted(
        (group for group in context.spec.audited if group.role != "simulated"),
        key=lambda group: roles.index(group.role),
    )
    images = [image for group in groups for image in context.images_under(generator, group)]
    return images[:count]


def _cost(context: AuditContext) -> Cost:
    spec, count = _settings(context), len(context.facts.generators)
    run = chain_calls(spec.chains, spec.leapfrog_steps, spec.transitions)
    runs = replace(run, times=RUNS_PER_PILOT * run.times)
    work = [Work(name, spec.pilots, spec.pilots, (runs,)) for name in context.facts.generators]
    return Cost.of(spec.pilots * count, count, work)


STAGE = Stage(
    table=TUNING_TABLE,
    computations=(COMPUTATION,),
    description="step sizes as a function of beta, tuned on pilot images and frozen",
    needs=("images", "variance"),
    enabled=lambda spec: tuned_spec(spec) is not None,
    plan=plan,
    cost=_cost,
    needs_latent=True,
)
