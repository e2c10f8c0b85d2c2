"""Whether there are images enough to learn from."""

from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ...spec.loading import SpecError
from ..class_shares.settings import ANNOTATOR, CLASS_SHARES
from .settings import DIVERSITY


def check_keys(spec: AuditSpec) -> None:
    """There are real images to learn from, and to be tested on.

    Raises:
        ValueError: naming the key and what to do.
    """
    if DIVERSITY.of(spec.stages) is not None and CLASS_SHARES.of(spec.stages) is None:
        raise ValueError(
            "stages.diversity learns from the images of an annotator and is tested on those of "
            "class_shares: add `annotator: {dataset: …, split: train}` and "
            "`class_shares: {dataset: …, split: test}` under stages"
        )


def check_diversity(spec: AuditSpec, facts: Facts) -> None:
    """Every part of the real images has one of each class; there are enough samples.

    Raises:
        SpecError: naming the key and what to do.
    """
    diversity = DIVERSITY.of(spec.stages)
    if diversity is None:
        return
    reference = facts.references[ANNOTATOR.name]
    length = reference.length or 0
    least = diversity.factors[-1]
    if round(length / least) < max(reference.num_classes, 2):
        most = max(1, length // max(reference.num_classes, 2))
        raise SpecError(
            f"stages.diversity.factors: 1/{least} of {length:,} images is fewer than one for each "
            f"of {reference.num_classes} classes; give factors of {most} at most"
        )
    if "resnet32" in diversity.architectures and min(facts.image_shape[1:]) < 4:
        raise SpecError(
            f"stages.diversity.architectures: resnet32 needs images of 4x4 pixels, these have "
            f"{facts.image_shape[1]}x{facts.image_shape[2]}; take linear"
        )
    for generator in facts.generators.values():
        there, wanted = generator.available(), diversity.multiples[-1] * length
        if there is not None and there < wanted:
            raise SpecError(
                f"stages.diversity.multiples: {diversity.multiples[-1]} times the {length:,} "
                f"images of the annotator are {wanted:,}, but there are {there:,} samples of "
                f"generator {generator.name}; give more samples, smaller multiples, "
                "or an annotator that learns from fewer images"
            )
