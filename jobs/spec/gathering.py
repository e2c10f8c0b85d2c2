"""What a spec names, opened and checked before any work: generators, image sets, their fit."""

from collections.abc import Sequence

from ...workers.datasets import ImageSet
from ...workers.datasets.class_map import FoundClasses, class_name
from ...workers.extractor_networks import ExtractorError
from ...workers.extractors import Extractor, describe_extractor
from ...workers.generators import GeneratorError, describe_generator
from ...workers.lpips_backbone import Backbone, PerceptualError, describe_backbone
from ...workers.own_classifier import ClassifierError, open_own_classifier
from ...workers.segmenter import SegmenterError, describe_segmenter
from .audit import MODEL_ROLES, AuditSpec
from .choice import chosen_images
from .classes import ClassedSet, ModelClasses, decide_classes
from .evaluated import evaluated_classes, of_classes
from .facts import DatasetFacts, Facts, GeneratorFacts
from .image_sets import Shape, check_count, dataset_facts, open_images, samples_facts, with_classes
from .loading import SpecError
from .model import DatasetOptions
from .named_generator import NamedGenerator
from .own_classifier import OwnClassifierSpec
from .shared import ChosenImages, shared_images


def gather_facts(spec: AuditSpec, lpips_users: Sequence[str] = ()) -> Facts:
    """Opens all that the spec names and checks that it fits together.

    ``lpips_users`` are the spec's keys that ask for LPIPS, and so for its backbone.

    Raises:
        SpecError: naming the key, what was found, what was expected and what to do.
    """
    latent = _generators(spec)
    opened, classed, data, image_shape = _image_sets(spec, latent)
    models = _models(spec, latent)
    decided = decide_classes(classed, models, spec.cluster.storage.settings)
    latent = evaluated_classes(spec, latent, decided.names)
    subset = next((each.subset for each in latent.values() if each.subset is not None), None)
    known = {
        key: with_classes(facts, found, decided.classes[key]) if key in decided.classes else facts
        for key, (facts, found) in opened.items()
    }
    whole = dict(known)
    if subset is not None:
        known |= {
            key: of_classes(key, facts, subset)
            for key, facts in known.items()
            if key in decided.classes and not key.endswith(".samples")
        }
    for group in spec.groups:
        if (facts := known.get(f"groups.{group.name}")) is not None:
            check_count(f"groups.{group.name}", group, facts)
    groups = {g.name: known[key] for g in spec.groups if (key := f"groups.{g.name}") in known}
    references = {stage: known[f"stages.{stage}"] for stage in spec.stages.references}
    generators = {
        each.name: latent.get(each.name) or _sampled(each, known[each.key], image_shape)
        for each in spec.each_generator
    }
    _check_samples(spec, generators)
    backbone = _backbone(spec, image_shape, lpips_users)
    shared = shared_images(_chosen(spec, groups, whole, data))
    classifiers = {
        stage: _own_classifier(f"stages.{stage}.own", own, image_shape, references[stage], spec)
        for stage, own in spec.stages.own_classifiers.items()
    }
    extractors = _extractors(spec, image_shape)
    return Facts(
        generators,
        groups,
        references,
        image_shape,
        backbone,
        shared,
        classifiers,
        extractors,
        _segmenter(spec, image_shape),
    )


def _own_classifier(
    key: str, own: OwnClassifierSpec, image_shape: Shape, images: DatasetFacts, spec: AuditSpec
) -> str:
    if images.num_classes < 2:
        raise SpecError(
            f"{key}: its images have {images.num_classes} classes; name images with those of the "
            "classifier"
        )
    service = spec.cluster.storage.settings
    try:
        return open_own_classifier(own.opened_from, image_shape, images.num_classes, service)[1]
    except ClassifierError as error:
        raise SpecError(f"{key}: {error}") from error


def _chosen(
    spec: AuditSpec,
    groups: dict[str, DatasetFacts],
    whole: dict[str, DatasetFacts],
    data: dict[str, ImageSet],
) -> list[ChosenImages]:
    """The images that each group takes; ``whole`` are the facts before classes are left out."""
    chosen = []
    for group in spec.groups:
        if (facts := groups.get(group.name)) is None:
            continue
        key, length = f"groups.{group.name}", facts.length
        count = group.count or length or 0
        picked = chosen_images(group.name, facts.labels, length, count, spec.seed)
        if facts.left_out:
            kept = set(facts.labels or ())
            labels = whole[key].labels or ()
            places = [place for place, label in enumerate(labels) if label in kept]
            picked = [places[position] for position in picked]
        chosen.append(ChosenImages(group.name, group.role, data[key], picked))
    return chosen


def _models(spec: AuditSpec, latent: dict[str, GeneratorFacts]) -> list[ModelClasses]:
    """The class-conditional generators; a set may have no generator for some class numbers."""
    asked = {each.name for each in spec.each_generator if each.conditions is not None}
    return [
        ModelClasses(
            each.name,
            each.num_classes,
            {class_name(name): number for name, number in each.class_numbers.items()},
            each.name in asked or 0 < len(each.class_numbers) < each.num_classes,
        )
        for each in latent.values()
        if each.num_classes
    ]


_Opened = dict[str, tuple[DatasetFacts, FoundClasses | None]]


def _image_sets(
    spec: AuditSpec, latent: dict[str, GeneratorFacts]
) -> tuple[_Opened, list[ClassedSet], dict[str, ImageSet], Shape]:
    """Every image set by its key, as it is by itself; those whose classes count; the shape.

    Those of groups are given open.
    """
    opened: _Opened = {}
    data: dict[str, ImageSet] = {}
    classed: list[ClassedSet] = []
    image_shape = _common_shape(latent) if latent else None
    for generator in spec.each_generator:
        if (samples := generator.samples) is not None:
            key = generator.key
            facts, found, image_shape = samples_facts(key, samples, image_shape, spec)
            opened[key] = facts, found
            classed.append(_classed_set(key, samples, facts, found, is_reference=True))
    assert image_shape is not None, "a spec has a generator, and each has a shape"
    for group in spec.groups:
        if group.role in MODEL_ROLES or group.dataset is None:
            continue
        key = f"groups.{group.name}"
        data[key] = open_images(key, group.dataset, group, image_shape, spec)
        facts, found = dataset_facts(key, group.dataset, group, data[key])
        opened[key] = facts, found
        if group.role in ("train", "test"):
            classed.append(_classed_set(key, group, facts, found, is_reference=False))
    for stage, reference in spec.stages.references.items():
        key = f"stages.{stage}"
        images = open_images(key, reference.dataset, reference, image_shape, spec)
        facts, found = dataset_facts(key, reference.dataset, reference, images)
        if facts.length is None:
            raise SpecError(
                f"{key}.dataset: {reference.dataset} is endless; name a set of real images"
            )
        opened[key] = facts, found
        classed.append(_classed_set(key, reference, facts, found, is_reference=True))
    return opened, classed, data, image_shape


def _sampled(
    generator: NamedGenerator, samples: DatasetFacts, image_shape: Shape
) -> GeneratorFacts:
    return GeneratorFacts(
        **vars(generator.opened_from),
        name=generator.name,
        sha256=samples.sha256,
        latent_dim=0,
        num_classes=0,
        image_shape=image_shape,
        evaluations_per_second=None,
        samples=samples,
        series=generator.series,
    )


def _check_samples(spec: AuditSpec, generators: dict[str, GeneratorFacts]) -> None:
    """Samples are enough for the groups of generated images, which share none."""
    groups = [group for group in spec.groups if group.role == "generated"]
    if groups:
        key = f"groups.{groups[-1].name}.count"
        for generator in generators.values():
            generator.require_images(key, sum(group.count or 0 for group in groups))


def _classed_set(
    key: str,
    source: DatasetOptions,
    facts: DatasetFacts,
    found: FoundClasses | None,
    *,
    is_reference: bool,
) -> ClassedSet:
    place = f"{facts.dataset} in {facts.path}" if facts.path else facts.dataset
    unclassed = None if facts.account is None else facts.account.unclassed
    return ClassedSet(key, source, found, facts.length, place, is_reference, unclassed)


def _backbone(
    spec: AuditSpec, image_shape: tuple[int, int, int], users: Sequence[str]
) -> Backbone | None:
    if not users:
        return None
    try:
        return describe_backbone(
            spec.perceptual.network,
            spec.perceptual.weights,
            image_shape,
            spec.cluster.storage.settings,
        )
    except PerceptualError as error:
        raise SpecError(f"perceptual ({', '.join(users)} needs LPIPS): {error}") from error


def _extractors(spec: AuditSpec, image_shape: Shape) -> dict[str, Extractor]:
    found = {}
    for name, extractor in spec.extractors.items():
        try:
            found[name] = describe_extractor(
                extractor.opened_from, image_shape, spec.cluster.storage.settings
            )
        except ExtractorError as error:
            raise SpecError(f"extractors.{name}: {error}") from error
    return found


def _segmenter(spec: AuditSpec, image_shape: Shape) -> str | None:
    if spec.segmenter is None:
        return None
    given = spec.segmenter
    try:
        return describe_segmenter(given.source, given.import_path, len(given.objects), image_shape)
    except SegmenterError as error:
        raise SpecError(f"segmenter: {error}") from error


def _generators(spec: AuditSpec) -> dict[str, GeneratorFacts]:
    """Those that are opened; samples alone are not."""
    generators: dict[str, GeneratorFacts] = {}
    for generator in spec.each_generator:
        if generator.samples is not None:
            continue
        _require_one_process(spec, generator)
        try:
            found = describe_generator(generator.opened_from, spec.cluster.storage.settings)
        except GeneratorError as error:
            raise SpecError(f"{generator.key}: {error}") from error
        generators[generator.name] = GeneratorFacts(
            **vars(generator.opened_from),
            name=generator.name,
            sha256=found.sha256,
            latent_dim=found.latent_dim,
            num_classes=found.num_classes,
            image_shape=found.image_shape,
            evaluations_per_second=found.evaluations_per_second,
            notes=found.notes,
            only_on_cpu=found.only_on_cpu,
            no_jacobian=found.no_jacobian,
            member_sha256=dict(found.members),
            series=generator.series,
        )
    return generators


def _require_one_process(spec: AuditSpec, generator: NamedGenerator) -> None:
    """An object of this program is not in the workers' processes."""
    if generator.opened_from.is_given and spec.cluster.executor != "serial":
        raise SpecError(
            f"{generator.key}: {generator.opened_from.source} is an object of this program, which "
            "worker processes do not have: set cluster.executor to serial, or give the generator "
            "as source: module:function"
        )


def _common_shape(generators: dict[str, GeneratorFacts]) -> Shape:
    shapes = {facts.image_shape for facts in generators.values()}
    if len(shapes) > 1:
        found = ", ".join(f"{facts.name} {facts.image_shape}" for facts in generators.values())
        raise SpecError(f"generators: image shapes differ ({found}); audit them in separate specs")
    return shapes.pop()
