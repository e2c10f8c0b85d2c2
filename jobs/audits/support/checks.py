"""Whether there are enough images of known classes, few enough to be held against each other."""

from ....workers.support import FEWEST
from ...spec.audit import AuditSpec
from ...spec.facts import DatasetFacts, Facts, GeneratorFacts
from ...spec.loading import SpecError
from .settings import SUPPORT

_MOST_BYTES = 2**30
_FLOAT32_BYTES = 4


def check_support(spec: AuditSpec, facts: Facts) -> None:
    """Real images are enough for two sets and have classes; a set fits into the memory.

    Raises:
        SpecError: naming the key and what to do.
    """
    settings = SUPPORT.of(spec.stages)
    if settings is None:
        return
    real = facts.references["support"]
    if (real.length or 0) < 2 * FEWEST:
        raise SpecError(
            f"stages.support.dataset: {real.dataset} has {real.length} images, but two sets of "
            f"{FEWEST} are needed; give at least {2 * FEWEST}, or remove this stage"
        )
    most = _MOST_BYTES // (_FLOAT32_BYTES * facts.dimensions)
    if settings.images > most:
        remedy = f"ask for at most {most}" if most >= FEWEST else "remove this stage"
        raise SpecError(
            f"stages.support.images: {settings.images} images of {facts.dimensions:,} values take "
            f"more than {_MOST_BYTES // 2**20:,} MiB; {remedy}"
        )
    for generator in facts.generators.values():
        generator.require_images("stages.support.images", settings.images, fewest=FEWEST)
        _require_classes(generator, real)


def _require_classes(generator: GeneratorFacts, real: DatasetFacts) -> None:
    """Of a generator that takes a class real images say how often each is to be asked for.

    Duplicates are as frequent as the classes that have them: with other shares an honest generator
    would repeat itself more often than real images do, or less.
    """
    if not generator.num_classes:
        return
    if real.labels is None and len(generator.conditions) > 1:
        raise SpecError(
            f"stages.support.dataset: {real.dataset} has no classes, so that nothing says how "
            f"often generator {generator.name} is to be asked for each of its own, on which "
            "duplicates depend; name real images with classes, or remove this stage"
        )
    known = set(real.labels or ())
    missing = sorted(known.difference(generator.conditions))
    if missing:
        raise SpecError(
            f"stages.support.dataset: {real.dataset} has images of class {missing[0]}, under which "
            f"generator {generator.name} is not evaluated; name real images of its classes alone, "
            "or remove this stage"
        )
