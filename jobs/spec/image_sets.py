"""The image sets that a spec names: opened, and checked one by one."""

from dataclasses import replace

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
from ...workers.datasets.image_set import UnfitError
from ...workers.datasets.survey import survey
from .audit import AuditSpec, GroupSpec
from .facts import DatasetFacts
from .loading import SpecError
from .model import ReferenceSpec, SamplesSpec

Shape = tuple[int, int, int]

# Enough for a set of several thousand pixels to show all of its levels.
_LEVEL_IMAGES = 32

_ImageSource = GroupSpec | ReferenceSpec | SamplesSpec


def samples_facts(
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
    images = open_images(key, samples.dataset, samples, wanted, spec)
    if images.length is None:
        raise SpecError(
            f"{key}.dataset: {samples.dataset} is endless; name a set of images that were made once"
        )
    facts = _dataset_facts(key, images, samples.dataset, samples)
    return facts, found_classes(images), images.image_shape


def dataset_facts(
    key: str,
    dataset: str,
    source: GroupSpec | ReferenceSpec,
    images: ImageSet,
) -> tuple[DatasetFacts, FoundClasses | None]:
    """What is known of a set by itself: its facts, its labels still its own, and their names."""
    return _dataset_facts(key, images, dataset, source), found_classes(images)


def check_count(key: str, group: GroupSpec, facts: DatasetFacts) -> None:
    """Raises SpecError where a group has fewer images than it asks for, or no end and no count."""
    if facts.length is None and group.count is None:
        raise SpecError(f"{key}: {group.dataset} is endless; give the number of images as count")
    if facts.length is not None and group.count is not None and group.count > facts.length:
        raise SpecError(
            f"{key}.count: {group.count} images asked for, but {group.dataset} has {facts.length}"
            f"{' of the classes that are evaluated' if facts.left_out else ''}"
        )


def with_classes(
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


def open_images(
    key: str,
    dataset: str,
    source: _ImageSource,
    image_shape: Shape | None,
    spec: AuditSpec,
) -> ImageSet:
    """The image set of that name, as the spec has it at the ``key``; SpecError if it has none."""
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


def _dataset_facts(key: str, images: ImageSet, dataset: str, source: _ImageSource) -> DatasetFacts:
    labels = images.labels()
    # Of a folder whose disk goes away in between, every file would count as unreadable.
    before = images.fingerprint() if takes_pictures(dataset) else None
    # The hash has every file of a bucket copied, several at a time; then they are looked at.
    sha256 = images.hash()
    account = _surveyed(key, images)
    fingerprint = images.fingerprint()
    if before is not None and before != fingerprint:
        raise SpecError(
            f"{key}: the files of {source.path or dataset} changed while they were read; wait "
            "until they are complete, or bring their folder back, then run the same command again"
        )
    return DatasetFacts(
        dataset,
        source.split,
        source.path,
        source.dataset_options,
        sha256,
        fingerprint,
        images.num_classes,
        None if labels is None else tuple(labels.tolist()),
        images.length,
        _levels(images),
        account=account,
    )


def _surveyed(key: str, images: ImageSet) -> Account | None:
    """The set's account, with what its images' headers say.

    Raises SpecError where they do not fit.
    """
    try:
        notes = survey(images)
    except UnfitError as error:
        raise SpecError(f"{key}: {error}") from error
    account = images.account
    return None if account is None else replace(account, notes=(*account.notes, *notes))


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
