"""Plans the ``patch_fit`` stage: one mixture of patches a class of the reference set."""

from ....core.patches import patch_grid
from ....core.settings.definition import setting_values
from ....core.settings.patch_mixture import MixtureSettings
from ....workers.patch_fit import COMPUTATION, PATCH_FIT_TABLE
from ....workers.shard import Item, Shard
from ....workers.timed_parts import COMPONENTS, PATCHES, PatchPart
from ...plan.stage import AuditContext, Cost, PlanContext, Stage
from ...plan.work import Chore
from ..images.plan import reading_chore, reference_settings
from .checks import patch_models
from .settings import PATCH_GMM, PatchGMMSpec


def patch_settings(context: AuditContext) -> PatchGMMSpec:
    """The settings of the patch model in the spec."""
    return PATCH_GMM.required(context.spec.stages)


def model_classes(context: AuditContext) -> list[int | None]:
    """The classes that any generator needs a mixture of; None stands for one of all images."""
    reference = context.facts.references["patch_gmm"]
    needed = [
        model
        for generator in context.facts.generators.values()
        for model in patch_models(generator, reference)
    ]
    return list(dict.fromkeys(needed))


def plan(context: PlanContext) -> list[Shard]:
    """A shard a class, in the order of :func:`model_classes`."""
    spec = patch_settings(context)
    settings = {
        **reference_settings(context, "patch_gmm"),
        **setting_values(MixtureSettings, spec),
        "max_patches": spec.max_patches,
    }
    return [
        Shard(PATCH_FIT_TABLE, COMPUTATION, settings, (_item(context, spec, model),))
        for model in model_classes(context)
    ]


def _item(context: PlanContext, spec: PatchGMMSpec, model: int | None) -> Item:
    name = "all" if model is None else f"{model:04d}"
    return Item(
        generator=None,
        condition=model,
        group=spec.dataset,
        image_id=f"patches-{name}",
        label=model,
        seed=context.seed("patch_fit", model),
    )


def patch_chore(context: AuditContext, patches: float, most: float | None = None) -> Chore:
    """The densities of so many patches under a class's mixture, or of up to ``most``."""
    per_part = PATCHES * COMPONENTS / patch_settings(context).components
    part = PatchPart(context.facts.image_shape[0])
    least = patches / per_part
    return Chore("mixtures of patches", part, least, least if most is None else most / per_part)


def _cost(context: AuditContext) -> Cost:
    """A step of a fit is two passes over the patches, and there are two steps at the least."""
    spec, reference = patch_settings(context), context.facts.references["patch_gmm"]
    in_image = patch_grid(*context.facts.image_shape[1:]).patches
    classes = model_classes(context)
    images = 0
    for model in classes:
        labels, length = reference.labels, reference.length or 0
        held = length if model is None or labels is None else labels.count(model)
        images += min(held, max(1, spec.max_patches // in_image))
    passes = 2 * images * in_image
    chores = (
        reading_chore(context, reference, images),
        patch_chore(context, min(2, spec.iterations) * passes, spec.iterations * passes),
    )
    return Cost(len(classes), len(classes), 0, chores=chores)


STAGE = Stage(
    table=PATCH_FIT_TABLE,
    computations=(COMPUTATION,),
    description="a mixture of Gaussians of the 8x8 patches of each reference class",
    needs=(),
    enabled=lambda spec: PATCH_GMM.of(spec.stages) is not None,
    plan=plan,
    cost=_cost,
)
