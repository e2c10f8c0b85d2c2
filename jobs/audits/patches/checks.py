"""Whether patches fit the images, and each class's patches hold the model's components."""

from ....core.patches import PatchGrid, patch_grid
from ...spec.audit import AuditSpec
from ...spec.facts import DatasetFacts, Facts, GeneratorFacts
from ...spec.loading import SpecError
from .settings import PATCH_GMM


def check_patches(spec: AuditSpec, facts: Facts) -> None:
    """A patch fits, and there are at least as many patches as components.

    Raises:
        SpecError: naming the key and what to do.
    """
    settings = PATCH_GMM.of(spec.stages)
    if settings is None:
        return
    grid, reference = require_grid(PATCH_GMM.name, facts), facts.references[PATCH_GMM.name]
    for generator in facts.generators.values():
        for model in patch_models(generator, reference):
            images = reference.length if model is None else _labelled(reference, model)
            patches = min((images or 0) * grid.patches, settings.max_patches)
            if patches < settings.components:
                of_class = "" if model is None else f" of class {model}"
                raise SpecError(
                    f"stages.patch_gmm.components: {settings.components} asked for, but "
                    f"{reference.dataset} gives {patches} patches{of_class} to fit them to; ask "
                    "for fewer, raise max_patches, or name a reference set with more images of "
                    f"every class of {generator.name}"
                )


def require_grid(stage: str, facts: Facts) -> PatchGrid:
    """The patches of the audit's images, for a stage that needs them.

    Raises:
        SpecError: the images are smaller than a patch.
    """
    try:
        return patch_grid(*facts.image_shape[1:])
    except ValueError as error:
        raise SpecError(f"stages.{stage}: {error}; remove this stage") from error


def patch_models(generator: GeneratorFacts, reference: DatasetFacts) -> list[int | None]:
    """The classes whose patches a generator's densities are held against, each a model.

    None is one model of all images: for an unconditional generator, or a set without labels.
    """
    if generator.num_classes and reference.labels is not None:
        return list(generator.conditions)
    return [None]


def _labelled(reference: DatasetFacts, label: int) -> int:
    return 0 if reference.labels is None else reference.labels.count(label)
