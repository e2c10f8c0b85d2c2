"""Whether there is a segmenter, and images on both sides."""

from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ...spec.loading import SpecError
from .plan import image_count
from .settings import SEGMENTS


def check_keys(spec: AuditSpec) -> None:
    """Stage and segmenter go together.

    Raises:
        ValueError: naming the key and what to do.
    """
    if SEGMENTS.of(spec.stages) is None:
        return
    if spec.segmenter is None:
        raise ValueError(
            "stages.segments needs a segmenter: add `segmenter: {source: module:function, objects: "
            "[sky, tree, ...]}` beside stages, with the classes that it tells apart, or remove it"
        )


def check_segments(spec: AuditSpec, facts: Facts) -> None:
    """There are images, of classes that the generators can be asked for.

    Raises:
        SpecError: naming the key and what to do.
    """
    if SEGMENTS.of(spec.stages) is None:
        return
    real = facts.references[SEGMENTS.name]
    count = image_count(spec, facts)
    if count < 2:
        raise SpecError(
            f"stages.segments.dataset: {real.dataset} has {real.length} images; give two at least"
        )
    for generator in facts.generators.values():
        generator.require_images("stages.segments.images", count)
        known = set(real.labels or ())
        missing = sorted(known.difference(generator.conditions)) if generator.num_classes else []
        if missing:
            raise SpecError(
                f"stages.segments.dataset: {real.dataset} has images of class {missing[0]}, under "
                f"which generator {generator.name} is not evaluated; name real images of its "
                "classes alone, or remove this stage"
            )
