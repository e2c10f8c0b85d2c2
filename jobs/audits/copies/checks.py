"""Whether there are enough images, and the held-out ones are others."""

from ....core.statistics.copies import NEAREST
from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ...spec.loading import SpecError
from .settings import COPIES


def check_copies(spec: AuditSpec, facts: Facts) -> None:
    """There are nearest images to rank, of which held-out ones are in two halves.

    Raises:
        SpecError: naming the key and what to do.
    """
    settings = COPIES.of(spec.stages)
    if settings is None:
        return
    check_both_sets(facts, COPIES.name)
    if settings.images < 2 * NEAREST:
        raise SpecError(
            f"stages.copies.images: {settings.images}, but as many held-out images are chosen, and "
            f"each half of them must have {NEAREST}; ask for at least {2 * NEAREST}"
        )
    for generator in facts.generators.values():
        generator.require_images("stages.copies.images", settings.images)


def check_both_sets(facts: Facts, stage: str) -> None:
    """A stage's training and held-out images are others, and enough to rank the nearest.

    Raises:
        SpecError: naming the key and what to do.
    """
    training, held_out = facts.references[stage], facts.references[f"{stage}.held_out"]
    if training.sha256 == held_out.sha256:
        raise SpecError(
            f"stages.{stage}.held_out: the same images as stages.{stage} ({training.dataset}); "
            "name images that the generator was not trained on, or remove this stage"
        )
    if (training.length or 0) < NEAREST + 1:
        raise SpecError(
            f"stages.{stage}.dataset: {training.dataset} has {training.length} images, but the "
            f"nearest {NEAREST} of an image are looked at; give at least {NEAREST + 1}, or remove "
            "this stage"
        )
    if (held_out.length or 0) < 2 * NEAREST:
        raise SpecError(
            f"stages.{stage}.held_out.dataset: {held_out.dataset} has {held_out.length} images, "
            f"but each half of them must have {NEAREST}; give at least {2 * NEAREST}, or remove "
            "this stage"
        )
