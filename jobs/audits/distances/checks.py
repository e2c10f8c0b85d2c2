"""Whether there are images for every set, and an annotator that did not learn from them."""

from ...spec.audit import AuditSpec
from ...spec.facts import Facts, GeneratorFacts
from ...spec.loading import SpecError
from ..class_shares.settings import ANNOTATOR as ANNOTATOR_STAGE
from ..feature_space import ANNOTATOR, MOST_FEATURES
from .settings import DISTANCES, FEWEST_IMAGES, PCA, PIXELS, DistancesSpec

_FLOAT32_BYTES = 4
# Two sets of features are in memory at a time.
_MOST_BYTES = 2**29


def check_keys(spec: AuditSpec) -> None:
    """Every space is there, and an annotator where its features are asked for.

    Raises:
        ValueError: naming the key and what to do.
    """
    own = (PIXELS, PCA, ANNOTATOR)
    taken = next((name for name in own if name in spec.extractors), None)
    if taken is not None:
        raise ValueError(f"extractors.{taken}: the name of another space; choose another name")
    settings = DISTANCES.of(spec.stages)
    if settings is None:
        return
    known = (*own, *spec.extractors)
    unknown = next((space for space in settings.spaces if space not in known), None)
    if unknown is not None:
        raise ValueError(
            f"stages.distances.spaces: {unknown!r} is not one of {', '.join(known)}; a network of "
            f"that name goes under extractors: {{{unknown}: {{weights: FILE, ...}}}}"
        )
    if PCA in settings.spaces and settings.components >= settings.images:
        raise ValueError(
            f"stages.distances.components: {settings.components}, but the components of "
            f"{settings.images} images are fewer; ask for at most {settings.images - 1}, or for "
            "more images"
        )
    if ANNOTATOR not in settings.spaces:
        return
    annotator = ANNOTATOR_STAGE.of(spec.stages)
    if annotator is not None and annotator.own is not None:
        raise ValueError(
            "stages.distances.spaces: annotator, but of your own classifier nothing says which "
            "layer's features to take; name pixels alone, give it as source under extractors, or "
            "leave out stages.annotator.own"
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
    annotator = ANNOTATOR_STAGE.of(spec.stages)
    learned = annotator is not None and ANNOTATOR in settings.spaces
    if learned and real.sha256 == facts.references[ANNOTATOR_STAGE.name].sha256:
        raise SpecError(
            "stages.distances.dataset: the images that stages.annotator learns from, whose "
            "features are unlike those of any others; name other real images, such as "
            "split: test, or name pixels alone under spaces"
        )
    flat = PIXELS in settings.spaces or (
        learned and annotator is not None and annotator.architecture == "linear"
    )
    if flat and facts.dimensions > MOST_FEATURES:
        raise SpecError(
            f"stages.distances.spaces: images of {facts.dimensions:,} values are compared as "
            f"they are, which at most {MOST_FEATURES:,} can be; take spaces: [annotator] "
            "with architecture: resnet32, or [pca]"
        )
    if flat or PCA in settings.spaces:
        _require_memory(settings.images, facts.dimensions, "images")
    if PCA in settings.spaces and settings.components >= facts.dimensions:
        raise SpecError(
            f"stages.distances.components: {settings.components}, but images of "
            f"{facts.dimensions} values have fewer; ask for at most {facts.dimensions - 1}"
        )
    for space in settings.spaces:
        if (extractor := facts.extractors.get(space)) is None:
            continue
        if extractor.features > MOST_FEATURES:
            raise SpecError(
                f"extractors.{space}: it makes {extractor.features:,} features of an image, of "
                f"which at most {MOST_FEATURES:,} can be compared; take a layer after the "
                "pooling, such as a function of your own returns"
            )
        _require_memory(settings.images, extractor.features, f"features of {space}")
    known = set(real.labels or ())
    for generator in facts.generators.values():
        _require_sets(generator, settings)
        missing = sorted(known.difference(generator.conditions)) if generator.num_classes else []
        if missing:
            raise SpecError(
                f"stages.distances.dataset: {real.dataset} has images of class {missing[0]}, under "
                f"which generator {generator.name} is not evaluated; name real images of its "
                "classes alone, or remove this stage"
            )


def _require_sets(generator: GeneratorFacts, settings: DistancesSpec) -> None:
    found, count = generator.available(None), settings.images * settings.sets
    if found is None or count <= found:
        return
    sets, images = found // settings.images, found // settings.sets
    if sets:
        remedy = f"ask for sets: {sets}"
    elif images >= FEWEST_IMAGES:
        remedy = f"ask for images: {images}"
    elif found >= FEWEST_IMAGES:
        remedy = f"ask for images: {found} and sets: 1"
    else:
        remedy = f"give at least {FEWEST_IMAGES}, or remove this stage"
    raise SpecError(
        f"stages.distances: {settings.sets} sets of {settings.images:,} images of generator "
        f"{generator.name} asked for, but there are {found:,}; {remedy}"
    )


def _require_memory(images: int, values: int, what: str) -> None:
    most = _MOST_BYTES // (_FLOAT32_BYTES * values)
    if images > most:
        raise SpecError(
            f"stages.distances.images: {images} {what} of {values:,} values take more than "
            f"{_MOST_BYTES // 2**20} MiB; ask for at most {most}"
        )


def _fewer(most: int) -> str:
    return (
        f"ask for at most {most}"
        if most >= FEWEST_IMAGES
        else "name more images, or remove this stage"
    )
