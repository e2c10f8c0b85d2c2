"""What a spec names, opened and checked before any work: generators, image sets, their fit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core.quantisation import detect_levels
from ...workers.datasets import DatasetError, ImageError, ImageSet, open_dataset, takes_pictures
from ...workers.datasets.account import Account
from ...workers.datasets.class_map import (
    Classes,
    FoundClasses,
    classed_digest,
    found_classes,
)
from ...workers.generators import GeneratorError, GeneratorSource, describe_generator
from ...workers.lpips_backbone import Backbone, PerceptualError, describe_backbone
from .audit import MODEL_ROLES, AuditSpec, GeneratorSpec, GroupSpec
from .classes import ClassedSet, decide_classes
from .loading import SpecError
from .model import DatasetOptions, ReferenceSpec, SamplesSpec

# Enough for a set of several thousand pixels to show all of its levels.
_LEVEL_IMAGES = 32

Shape = tuple[int, int, int]
_ImageSource = GroupSpec | ReferenceSpec | SamplesSpec


@dataclass(frozen=True)
class DatasetFacts:
    """What planning needs to know of an image set; ``length`` is None for an endless one.

    ``levels`` are the grey levels of its first images, None where they lie on no grid that images
    are stored in. ``options`` are those of `DatasetOptions` that are set. ``sha256`` is the set's
    hash, which its shards go by, and ``fingerprint`` what a worker recognises it by.
    ``classes`` has the number of each class by the set's name for it; ``labels`` are those numbers.
    ``account`` is what was read of the set's files, None where it has none.
    """

    dataset: str
    split: str | None
    path: str | None
    options: dict[str, Any]
    sha256: str
    fingerprint: str
    num_classes: int
    labels: tuple[int, ...] | None
    length: int | None
    levels: int | None
    classes: dict[str, int] | int | None = None
    account: Account | None = None


@dataclass(frozen=True, kw_only=True)
class GeneratorFacts(GeneratorSource):
    """What planning needs to know of a generator, besides what it is opened from.

    ``num_classes`` are those that it takes as a condition. Where its images are ``samples``, it
    takes none, and has no latent to search or to draw: ``latent_dim`` is 0.
    """

    name: str
    sha256: str
    latent_dim: int
    num_classes: int
    image_shape: tuple[int, int, int]
    evaluations_per_second: float | None
    notes: tuple[str, ...] = ()
    samples: DatasetFacts | None = None

    @property
    def image_classes(self) -> tuple[int, ...]:
        """The classes that its images are known to be of, in order; none where they have none."""
        if self.samples is None:
            return tuple(range(self.num_classes))
        return tuple(sorted(set(self.samples.labels or ())))

    def available(self, condition: int | None = None) -> int | None:
        """How many images it can give, of all classes or of one; None for any number of them."""
        if self.samples is None:
            return None if condition is None or condition < self.num_classes else 0
        if condition is None:
            return self.samples.length
        return (self.samples.labels or ()).count(condition)

    def require_images(self, key: str, count: int, condition: int | None = None) -> None:
        """Raises SpecError, which names the ``key``, unless it can give so many images."""
        found = self.available(condition)
        if found is None or count <= found:
            return
        of_class = "" if condition is None else f" of class {condition}"
        given = "samples" if self.samples is not None else "images"
        raise SpecError(
            f"{key}: {count:,} images{of_class} of generator {self.name} asked for, but there are "
            f"{found:,} {given}{of_class}; ask for at most that many, or give more"
        )


@dataclass(frozen=True)
class Facts:
    """Everything a spec names.

    ``groups`` by group name; ``references`` by the stage that has a reference set; ``backbone`` is
    LPIPS's, None where no stage uses it.
    """

    generators: dict[str, GeneratorFacts]
    groups: dict[str, DatasetFacts]
    references: dict[str, DatasetFacts]
    image_shape: tuple[int, int, int]
    backbone: Backbone | None

    @property
    def dimensions(self) -> int:
        """D: how many values an image has."""
        return math.prod(self.image_shape)


def gather_facts(spec: AuditSpec, lpips_users: Sequence[str] = ()) -> Facts:
    """Opens all that the spec names and checks that it fits together.

    ``lpips_users`` are the spec's keys that ask for LPIPS, and so for its backbone.

    Raises:
        SpecError: naming the key, what was found, what was expected and what to do.
    """
    latent = _generators(spec)
    opened: dict[str, tuple[DatasetFacts, FoundClasses | None]] = {}
    classed: list[ClassedSet] = []
    image_shape = _common_shape(latent) if latent else None
    for generator in spec.generators:
        if (samples := generator.samples) is not None:
            key = samples_key(generator.name)
            facts, found, image_shape = _samples(key, samples, image_shape, spec)
            opened[key] = facts, found
            classed.append(_classed_set(key, samples, facts, found, is_reference=True))
    assert image_shape is not None, "a spec has a generator, and each has a shape"
    for group in spec.groups:
        if group.role in MODEL_ROLES or group.dataset is None:
            continue
        key = f"groups.{group.name}"
        facts, found = _dataset(key, group.dataset, group, image_shape, spec)
        _check_count(key, group, facts)
        opened[key] = facts, found
        if group.role in ("train", "test"):
            classed.append(_classed_set(key, group, facts, found, is_reference=False))
    for stage, reference in spec.stages.references.items():
        key = f"stages.{stage}"
        facts, found = _dataset(key, reference.dataset, reference, image_shape, spec)
        if facts.length is None:
            raise SpecError(
                f"{key}.dataset: {reference.dataset} is endless; name a set of real images"
            )
        opened[key] = facts, found
        classed.append(_classed_set(key, reference, facts, found, is_reference=True))
    counts = {each.name: each.num_classes for each in latent.values() if each.num_classes}
    decided = decide_classes(classed, counts, spec.cluster.storage.settings)
    known = {
        key: _with_classes(facts, found, decided[key]) if key in decided else facts
        for key, (facts, found) in opened.items()
    }
    groups = {g.name: known[key] for g in spec.groups if (key := f"groups.{g.name}") in known}
    references = {stage: known[f"stages.{stage}"] for stage in spec.stages.references}
    generators = {
        each.name: latent.get(each.name)
        or _sampled(each, known[samples_key(each.name)], image_shape)
        for each in spec.generators
    }
    _check_samples(spec, generators)
    backbone = _backbone(spec, image_shape, lpips_users)
    return Facts(generators, groups, references, image_shape, backbone)


def samples_key(generator: str) -> str:
    """Where a spec names the samples of a generator."""
    return f"generators.{generator}.samples"


def _samples(
    key: str, samples: SamplesSpec, image_shape: Shape | None, spec: AuditSpec
) -> tuple[DatasetFacts, FoundClasses | None, Shape]:
    """What is known of samples by themselves, and their shape: that of the others, if any."""
    wanted = samples.image_shape or image_shape
    if image_shape is not None and wanted != image_shape:
        raise SpecError(
            f"{key}.image_shape: {list(wanted or ())}, but the other images are "
            f"{list(image_shape)}; audit them in separate specs, or resize the samples"
        )
    if wanted is None and takes_pictures(samples.dataset):
        raise SpecError(
            f"{key}: pictures may have any shape; add image_shape: [channels, height, width]"
        )
    images = _open(key, samples.dataset, samples, wanted, spec)
    if images.length is None:
        raise SpecError(
            f"{key}.dataset: {samples.dataset} is endless; name a set of images that were made once"
        )
    facts = _dataset_facts(images, samples.dataset, samples)
    return facts, found_classes(images), images.image_shape


def _sampled(generator: GeneratorSpec, samples: DatasetFacts, image_shape: Shape) -> GeneratorFacts:
    return GeneratorFacts(
        **vars(generator.opened_from),
        name=generator.name,
        sha256=samples.sha256,
        latent_dim=0,
        num_classes=0,
        image_shape=image_shape,
        evaluations_per_second=None,
        samples=samples,
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


def _with_classes(
    facts: DatasetFacts, found: FoundClasses | None, classes: Classes | None
) -> DatasetFacts:
    """The facts once the classes are known; nothing else changes where the labels are they."""
    if classes is None:
        return replace(facts, labels=None, num_classes=0)
    if isinstance(classes, int):
        labels = None if facts.length is None else (classes,) * facts.length
        count = classes + 1
    else:
        assert found is not None, "a map is only of classes that were found"
        if all(classes[name] == label for label, name in found.names.items()):
            return replace(facts, classes=dict(classes))
        labels = tuple(classes[found.names[label]] for label in facts.labels or ())
        count = max(classes.values()) + 1
    return replace(
        facts,
        options={**facts.options, "classes": classes},
        sha256=classed_digest(facts.sha256, classes),
        fingerprint=classed_digest(facts.fingerprint, classes),
        num_classes=count,
        labels=labels,
        classes=classes,
    )


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


def _generators(spec: AuditSpec) -> dict[str, GeneratorFacts]:
    """Those that are opened; samples alone are not."""
    generators: dict[str, GeneratorFacts] = {}
    for generator in spec.generators:
        if generator.samples is not None:
            continue
        try:
            found = describe_generator(generator.opened_from, spec.cluster.storage.settings)
        except GeneratorError as error:
            key = "weights" if generator.source is None else "source"
            raise SpecError(f"generators.{generator.name}.{key}: {error}") from error
        generators[generator.name] = GeneratorFacts(
            **vars(generator.opened_from),
            name=generator.name,
            sha256=found.sha256,
            latent_dim=found.latent_dim,
            num_classes=found.num_classes,
            image_shape=found.image_shape,
            evaluations_per_second=found.evaluations_per_second,
            notes=found.notes,
        )
    return generators


def _common_shape(generators: dict[str, GeneratorFacts]) -> Shape:
    shapes = {facts.image_shape for facts in generators.values()}
    if len(shapes) > 1:
        found = ", ".join(f"{facts.name} {facts.image_shape}" for facts in generators.values())
        raise SpecError(f"generators: image shapes differ ({found}); audit them in separate specs")
    return shapes.pop()


def _dataset(
    key: str,
    dataset: str,
    source: GroupSpec | ReferenceSpec,
    image_shape: Shape,
    spec: AuditSpec,
) -> tuple[DatasetFacts, FoundClasses | None]:
    """What is known of a set by itself: its facts, its labels still its own, and their names."""
    images = _open(key, dataset, source, image_shape, spec)
    return _dataset_facts(images, dataset, source), found_classes(images)


def _open(
    key: str,
    dataset: str,
    source: _ImageSource,
    image_shape: Shape | None,
    spec: AuditSpec,
) -> ImageSet:
    try:
        return open_dataset(
            dataset,
            split=source.split or "",
            path=source.path,
            image_shape=image_shape,
            seed=spec.seed,
            service=spec.cluster.storage.settings,
            **source.dataset_options,
        )
    except DatasetError as error:
        raise SpecError(f"{key}: {error}") from error


def _dataset_facts(images: ImageSet, dataset: str, source: _ImageSource) -> DatasetFacts:
    labels = images.labels()
    return DatasetFacts(
        dataset,
        source.split,
        source.path,
        source.dataset_options,
        images.hash(),
        images.fingerprint(),
        images.num_classes,
        None if labels is None else tuple(labels.tolist()),
        images.length,
        _levels(images),
        account=images.account,
    )


def _levels(images: ImageSet) -> int | None:
    """The grey levels of images spread over the set; those that cannot be read are left out."""
    count = _LEVEL_IMAGES if images.length is None else images.length
    step = max(1, count // _LEVEL_IMAGES)
    pixels = []
    for index in range(0, count, step)[:_LEVEL_IMAGES]:
        try:
            pixels.append(np.unique(images.image(index)[0]))
        except ImageError:
            continue
    return detect_levels(np.concatenate(pixels)) if pixels else None


def _check_count(key: str, group: GroupSpec, facts: DatasetFacts) -> None:
    if facts.length is None and group.count is None:
        raise SpecError(f"{key}: {group.dataset} is endless; give the number of images as count")
    if facts.length is not None and group.count is not None and group.count > facts.length:
        raise SpecError(
            f"{key}.count: {group.count} images asked for, but {group.dataset} has {facts.length}"
        )
