"""What a spec names, opened and checked before any work: generators, image sets, their fit."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...core.quantisation import detect_levels
from ...workers.datasets import DatasetError, ImageError, ImageSet, open_dataset
from ...workers.generators import GeneratorError, GeneratorSource, describe_generator
from ...workers.lpips_backbone import Backbone, PerceptualError, describe_backbone
from .audit import MODEL_ROLES, AuditSpec, GroupSpec
from .loading import SpecError
from .model import ReferenceSpec

# Enough for a set of several thousand pixels to show all of its levels.
_LEVEL_IMAGES = 32


@dataclass(frozen=True, kw_only=True)
class GeneratorFacts(GeneratorSource):
    """What planning needs to know of a generator, besides what it is opened from."""

    name: str
    sha256: str
    latent_dim: int
    num_classes: int
    image_shape: tuple[int, int, int]
    evaluations_per_second: float | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class DatasetFacts:
    """What planning needs to know of an image set; ``length`` is None for an endless one.

    ``levels`` are the grey levels of its first images, None where they lie on no grid that images
    are stored in. ``options`` are those of `DatasetOptions` that are set. ``sha256`` is the set's
    hash, which its shards go by, and ``fingerprint`` what a worker recognises it by.
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
    generators = _generators(spec)
    image_shape = _common_shape(generators)
    groups: dict[str, DatasetFacts] = {}
    for group in spec.groups:
        if group.role in MODEL_ROLES or group.dataset is None:
            continue
        key = f"groups.{group.name}"
        facts = _dataset(key, group.dataset, group, image_shape, spec)
        _check_count(key, group, facts)
        if group.role in ("train", "test"):
            _check_classes(key, facts, generators)
        groups[group.name] = facts
    references = {
        stage: _reference(f"stages.{stage}", reference, image_shape, spec)
        for stage, reference in spec.stages.references.items()
    }
    backbone = _backbone(spec, image_shape, lpips_users)
    return Facts(generators, groups, references, image_shape, backbone)


def _reference(
    key: str, reference: ReferenceSpec, image_shape: tuple[int, int, int], spec: AuditSpec
) -> DatasetFacts:
    facts = _dataset(key, reference.dataset, reference, image_shape, spec)
    if facts.length is None:
        raise SpecError(f"{key}.dataset: {reference.dataset} is endless; name a set of real images")
    return facts


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
    generators: dict[str, GeneratorFacts] = {}
    for generator in spec.generators:
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


def _common_shape(generators: dict[str, GeneratorFacts]) -> tuple[int, int, int]:
    shapes = {facts.image_shape for facts in generators.values()}
    if len(shapes) > 1:
        found = ", ".join(f"{facts.name} {facts.image_shape}" for facts in generators.values())
        raise SpecError(f"generators: image shapes differ ({found}); audit them in separate specs")
    return shapes.pop()


def _dataset(
    key: str,
    dataset: str,
    source: GroupSpec | ReferenceSpec,
    image_shape: tuple[int, int, int],
    spec: AuditSpec,
) -> DatasetFacts:
    try:
        images = open_dataset(
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
    return _dataset_facts(images, dataset, source)


def _dataset_facts(
    images: ImageSet, dataset: str, source: GroupSpec | ReferenceSpec
) -> DatasetFacts:
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


def _check_classes(key: str, facts: DatasetFacts, generators: dict[str, GeneratorFacts]) -> None:
    for generator in generators.values():
        if 0 < generator.num_classes < facts.num_classes:
            raise SpecError(
                f"{key}.dataset: {facts.dataset} has {facts.num_classes} classes, generator "
                f"{generator.name} has {generator.num_classes}: its class "
                f"{facts.num_classes - 1} cannot be generated; audit a subset of the classes"
            )
