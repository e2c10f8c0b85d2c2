"""Plans the ``patch_gmm`` stage: the likelihood's images under the mixtures of patches."""

from typing import Any

from ....core.patches import patch_grid
from ....workers.patch_gmm import COMPUTATION, PATCH_GMM_TABLE
from ....workers.shard import Shard, chunk
from ...plan.stage import AuditContext, Cost, PlanContext, Stage, conditions_of, group_pairs
from ...spec.facts import GeneratorFacts
from ..images.plan import generator_settings
from ..likelihood.plan import image_item, subjects
from .checks import patch_models
from .fit_plan import model_classes, patch_chore, patch_settings
from .settings import PATCH_GMM


def plan(context: PlanContext) -> list[Shard]:
    """Shards of (generator, image, condition) as the likelihood has them, simulated ones apart."""
    size = patch_settings(context).shard_items
    parts = dict(zip(model_classes(context), context.shard_ids("patch_fit"), strict=True))
    shards: list[Shard] = []
    for generator in context.facts.generators.values():
        needed = patch_models(generator, context.facts.references["patch_gmm"])
        models = [[model, parts[model]] for model in needed]
        for simulated in (False, True):
            items = [
                image_item(context, generator.name, subject, condition)
                for subject in subjects(context, generator, simulated=simulated)
                for condition in conditions_of(
                    context, generator, subject.group, subject.label, subject.position
                )
            ]
            settings: dict[str, Any] = {"models": models}
            if simulated and items:
                settings |= simulation_settings(context, generator)
            shards += chunk(PATCH_GMM_TABLE, COMPUTATION, settings, items, size)
    return shards


def simulation_settings(context: PlanContext, generator: GeneratorFacts) -> dict[str, Any]:
    """What simulated images depend on: the generator and its observation variance."""
    return {**generator_settings(generator), "variance": context.variance(generator.name)}


def _cost(context: AuditContext) -> Cost:
    items = simulated = 0
    for generator in context.facts.generators.values():
        for group in context.spec.audited:
            count = group_pairs(context, generator, group)
            items += count
            simulated += count if group.role == "simulated" else 0
    shards = -(-items // patch_settings(context).shard_items)
    patches = patch_grid(*context.facts.image_shape[1:]).patches
    return Cost(items, shards, simulated, chores=(patch_chore(context, items * patches),))


STAGE = Stage(
    table=PATCH_GMM_TABLE,
    computations=(COMPUTATION,),
    description="ln p(x) of a model of small patches: does it rank images as the generator does?",
    needs=("images", "variance", "patch_fit"),
    enabled=lambda spec: PATCH_GMM.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
