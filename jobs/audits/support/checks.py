"""Whether there are enough images, and few enough to be held against each other."""

from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ...spec.loading import SpecError
from .settings import SUPPORT

_FEWEST_REAL = 128
_MOST_BYTES = 2**30
_FLOAT32_BYTES = 4


def check_support(spec: AuditSpec, facts: Facts) -> None:
    """Real images are enough for two sets, and a set of images fits into the memory.

    Raises:
        SpecError: naming the key and what to do.
    """
    settings = SUPPORT.of(spec.stages)
    if settings is None:
        return
    real = facts.references["support"]
    if (real.length or 0) < _FEWEST_REAL:
        raise SpecError(
            f"stages.support.dataset: {real.dataset} has {real.length} images, but two sets of "
            f"{_FEWEST_REAL // 2} are needed; give at least {_FEWEST_REAL}, or remove this stage"
        )
    most = _MOST_BYTES // (_FLOAT32_BYTES * facts.dimensions)
    if settings.images > most:
        remedy = f"ask for at most {most}" if most >= _FEWEST_REAL // 2 else "remove this stage"
        raise SpecError(
            f"stages.support.images: {settings.images} images of {facts.dimensions:,} values take "
            f"more than {_MOST_BYTES // 2**20:,} MiB; {remedy}"
        )
    for generator in facts.generators.values():
        generator.require_images("stages.support.images", settings.images, fewest=_FEWEST_REAL // 2)
