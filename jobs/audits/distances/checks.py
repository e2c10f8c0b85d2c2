"""Whether there are images for every set, and an annotator that did not learn from them."""

from ...spec.audit import AuditSpec
from ...spec.facts import Facts
from ...spec.loading import SpecError
from ..class_shares.settings import ANNOTATOR
from .settings import DISTANCES

_FLOAT32_BYTES = 4
# Two sets of features are in memory at a time.
_MOST_BYTES = 2**29
# The covariances of more features take minutes and GiB.
_MOST_FEATURES = 4096


def check_keys(spec: AuditSpec) -> None:
    """There is an annotator where its features are asked for.

    Raises:
        ValueError: naming the key and what to do.
    """
    settings = DISTANCES.of(spec.stages)
    if settings is None or "annotator" not in settings.spaces:
        return
    annotator = ANNOTATOR.of(spec.stages)
    if annotator is not None and annotator.own is not None:
        raise ValueError(
            "stages.distances.spaces: annotator, but of your own classifier nothing says which "
            "layer's features to take; name pixels alone, or leave out stages.annotator.own"
        )
    if annotator is None:
        raise ValueError(
            "stages.distances.spaces: annotator, but there is none: add `annotator: {dataset: …, "
            "split: train}` and `class_shares: {dataset: …, split: test}` under stages, or name "
            "pixels alone"
        )


def check_distances(spec: AuditSpec, facts: Facts) -> None:
    """The sets can be made, and held against each other in the memory of a worker.

    Raises:
        SpecError: naming the key and what to do.
    """
    settings = DISTANCES.of(spec.stages)
    if settings is None:
        return
    real = facts.references[DISTANCES.name]
    fewest = 2 * settings.images
    if (real.length or 0) < fewest:
        raise SpecError(
            f"stages.distances.images: {settings.images}, but {real.dataset} has {real.length} "
            f"images, and the reference and one other set of them need {fewest}; "
            + _fewer((real.length or 0) // 2)
        )
    annotator = ANNOTATOR.of(spec.stages)
    learned = annotator is not None and "annotator" in settings.spaces
    if learned and real.sha256 == facts.references[ANNOTATOR.name].sha256:
        raise SpecError(
            "stages.distances.dataset: the images that stages.annotator learns from, whose "
            "features are unlike those of any others; name other real images, such as "
            "split: test, or name pixels alone under spaces"
        )
    flat = "pixels" in settings.spaces or (
        learned and annotator is not None and annotator.architecture == "linear"
    )
    if flat:
        if facts.dimensions > _MOST_FEATURES:
            raise SpecError(
                f"stages.distances.spaces: images of {facts.dimensions:,} values are compared as "
                f"they are, which at most {_MOST_FEATURES:,} can be; take spaces: [annotator] "
                "with architecture: resnet32"
            )
        most = _MOST_BYTES // (_FLOAT32_BYTES * facts.dimensions)
        if settings.images > most:
            raise SpecError(
                f"stages.distances.images: {settings.images} images of {facts.dimensions:,} values "
                f"take more than {_MOST_BYTES // 2**20} MiB; ask for at most {most}"
            )
    known = set(real.labels or ())
    for generator in facts.generators.values():
        generator.require_images("stages.distances.images", settings.images * settings.sets)
        missing = sorted(known.difference(generator.conditions)) if generator.num_classes else []
        if missing:
            raise SpecError(
                f"stages.distances.dataset: {real.dataset} has images of class {missing[0]}, under "
                f"which generator {generator.name} is not evaluated; name real images of its "
                "classes alone, or remove this stage"
            )


def _fewer(most: int) -> str:
    return f"ask for at most {most}" if most >= 64 else "name more images, or remove this stage"
