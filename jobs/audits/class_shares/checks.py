"""Whether there are labelled images to learn from, and others to be tested on."""

from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ...spec.loading import SpecError
from .settings import ANNOTATOR, CLASS_SHARES


def check_keys(spec: AuditSpec) -> None:
    """The annotator and what it labels go together.

    Raises:
        ValueError: naming the key and what to do.
    """
    annotator, shares = ANNOTATOR.of(spec.stages), CLASS_SHARES.of(spec.stages)
    if shares is not None and annotator is None:
        raise ValueError(
            "stages.class_shares needs an annotator: add `annotator: {dataset: …, split: train}` "
            "under stages, with the images that it learns from"
        )
    if annotator is not None and shares is None:
        raise ValueError(
            "stages.annotator labels nothing: add `class_shares: {dataset: …, split: test}` under "
            "stages, with held-out images, or remove it"
        )
    if annotator is not None and shares is not None:
        learned = (annotator.dataset, annotator.split, annotator.path, annotator.sources)
        if learned == (shares.dataset, shares.split, shares.path, shares.sources):
            raise ValueError(
                "stages.class_shares: the images are those that stages.annotator learns from; "
                "name others, which it has not seen, such as split: test"
            )
        several = any(isinstance(each.attribute, tuple) for each in (annotator, shares))
        if several and annotator.attribute != shares.attribute:
            raise ValueError(
                "stages.class_shares.attribute: the classes are those of stages.annotator; give "
                "the same attributes in the same order"
            )


def check_class_shares(spec: AuditSpec, facts: Facts) -> None:
    """Both sets have the same two or more classes, each with images; there are enough samples.

    Raises:
        SpecError: naming the key and what to do.
    """
    shares = CLASS_SHARES.of(spec.stages)
    if shares is None:
        return
    for generator in facts.generators.values():
        if generator.subset is not None:
            raise SpecError(
                f"stages.class_shares: generator {generator.name} is evaluated under some of its "
                "classes, but shares are of all; evaluate it under all of them, or remove the "
                "stages annotator, class_shares and diversity"
            )
    classes = facts.references[ANNOTATOR.name].num_classes
    for stage in (ANNOTATOR.name, CLASS_SHARES.name):
        found = facts.references[stage]
        if found.labels is None:
            raise SpecError(
                f"stages.{stage}.dataset: {found.dataset} has no classes; name a set that has, or "
                "give labels: FILE"
            )
        present = set(found.labels)
        missing = next((each for each in range(classes) if each not in present), None)
        if missing is not None:
            raise SpecError(
                f"stages.{stage}.dataset: {found.dataset} has no image of class {missing} of "
                f"{classes}; name a set with images of every class"
            )
        if len(present) != classes:
            raise SpecError(
                f"stages.{stage}.dataset: {found.dataset} has {len(present)} classes, but the "
                f"annotator learns {classes}; name sets of the same classes"
            )
    if classes < 2:
        raise SpecError(
            f"stages.annotator.dataset: images of {classes} class; shares need two at least"
        )
    annotator = ANNOTATOR.required(spec.stages)
    if (
        annotator.own is None
        and annotator.architecture == "resnet32"
        and min(facts.image_shape[1:]) < 4
    ):
        raise SpecError(
            f"stages.annotator.architecture: resnet32 needs images of 4x4 pixels, these have "
            f"{facts.image_shape[1]}x{facts.image_shape[2]}; take linear"
        )
    for generator in facts.generators.values():
        if generator.num_classes and generator.num_classes != classes:
            raise SpecError(
                f"stages.annotator.dataset: {classes} classes, but generator {generator.name} "
                f"has {generator.num_classes}; name a set of its classes, or give classes: a map"
            )
        if shares.images is not None:
            generator.require_images("stages.class_shares.images", shares.images)
