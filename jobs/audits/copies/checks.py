"""Whether there are enough images, and the held-out ones are others."""

from ....core.statistics.copies import NEAREST
from ....core.statistics.views import kinds_of_views
from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ...spec.loading import SpecError
from ..class_shares.settings import ANNOTATOR as ANNOTATOR_STAGE
from ..feature_space import ANNOTATOR, MOST_FEATURES
from .settings import COPIES


def check_spaces(spec: AuditSpec) -> None:
    """Every feature space is there, and is not called what a view of pixels is called.

    Raises:
        ValueError: naming the key and what to do.
    """
    settings = COPIES.of(spec.stages)
    if settings is None:
        return
    for space in settings.spaces:
        if space in kinds_of_views():
            raise ValueError(
                f"stages.copies.spaces: {space!r} is the name of a view of pixels, in which images "
                "are compared anyway; leave it out, or choose another name under extractors"
            )
        if space != ANNOTATOR and space not in spec.extractors:
            known = ", ".join((ANNOTATOR, *spec.extractors))
            raise ValueError(
                f"stages.copies.spaces: {space!r} is not one of {known}; a network of that name "
                f"goes under extractors: {{{space}: {{weights: FILE, ...}}}}"
            )
    if ANNOTATOR not in settings.spaces:
        return
    annotator = ANNOTATOR_STAGE.of(spec.stages)
    if annotator is None:
        raise ValueError(
            "stages.copies.spaces: annotator, but there is none: add `annotator: {dataset: …, "
            "split: train}` and `class_shares: {dataset: …, split: test}` under stages, or leave "
            "it out"
        )
    if annotator.own is not None:
        raise ValueError(
            "stages.copies.spaces: annotator, but of your own classifier nothing says which "
            "layer's features to take; give it as source under extractors, or leave it out"
        )


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
    for space in settings.spaces:
        extractor = facts.extractors.get(space)
        if extractor is not None and extractor.features > MOST_FEATURES:
            raise SpecError(
                f"extractors.{space}: it makes {extractor.features:,} features of an image, of "
                f"which at most {MOST_FEATURES:,} can be compared; take a layer after the "
                "pooling, such as a function of your own returns"
            )


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
