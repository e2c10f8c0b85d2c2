"""What a spec names, as it was found: generators, image sets, what they have in common."""

import math
from dataclasses import dataclass, field
from typing import Any

from ...workers.datasets.account import Account
from ...workers.extractors import Extractor
from ...workers.generators import GeneratorSource
from ...workers.lpips_backbone import Backbone
from .loading import SpecError
from .named_generator import Series
from .shared import SharedImages


@dataclass(frozen=True)
class DatasetFacts:
    """What planning needs to know of an image set; ``length`` is None for an endless one.

    ``levels`` are the grey levels of its first images, None where they lie on no grid that images
    are stored in. ``options`` are those of `DatasetOptions` that are set. ``sha256`` is the set's
    hash, which its shards go by, and ``fingerprint`` what a worker recognises it by.
    ``classes`` has the number of each class by the set's name for it; ``labels`` are those numbers.
    ``account`` is what was read of the set's files, None where it has none.
    ``left_out`` images are of classes that the audit does not evaluate, and not counted.
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
    left_out: int = 0


@dataclass(frozen=True, kw_only=True)
class GeneratorFacts(GeneratorSource):
    """What planning needs to know of a generator, besides what it is opened from.

    ``num_classes`` are those that it takes as a condition; it is evaluated under a ``subset`` of
    them where that is not None. Where its images are ``samples``, it takes none, and has no latent
    to search or to draw: ``latent_dim`` is 0. A set of generators has the hash of each by its
    class's name in ``member_sha256``. ``only_on_cpu`` are operations for which it can compute on
    CPUs alone, ``no_jacobian`` what torch said where a Jacobian was tried in vain. ``series`` is
    where a checkpoint stands in its training.
    """

    name: str
    sha256: str
    latent_dim: int
    num_classes: int
    image_shape: tuple[int, int, int]
    evaluations_per_second: float | None
    notes: tuple[str, ...] = ()
    only_on_cpu: tuple[str, ...] = ()
    no_jacobian: str | None = None
    samples: DatasetFacts | None = None
    subset: tuple[int, ...] | None = None
    member_sha256: dict[str, str] = field(default_factory=dict)
    series: Series | None = None

    @property
    def conditions(self) -> tuple[int, ...]:
        """The classes that it is evaluated under, in order; none where it takes none."""
        return tuple(range(self.num_classes)) if self.subset is None else self.subset

    @property
    def class_numbers(self) -> dict[str, int]:
        """Of a set of generators, the number of each class by its name; else empty."""
        return {member.name: member.number for member in self.members}

    @property
    def image_classes(self) -> tuple[int, ...]:
        """The classes that its images are known to be of, in order; none where they have none."""
        if self.samples is None:
            return self.conditions
        return tuple(sorted(set(self.samples.labels or ())))

    def available(self, condition: int | None = None) -> int | None:
        """How many images it can give, of all classes or of one; None for any number of them."""
        if self.samples is None:
            return None if condition is None or condition in self.conditions else 0
        if condition is None:
            return self.samples.length
        return (self.samples.labels or ()).count(condition)

    def require_images(
        self, key: str, count: int, condition: int | None = None, *, fewest: int = 1
    ) -> None:
        """Raises SpecError, which names the ``key``, unless it can give so many images.

        Of fewer than ``fewest`` a stage can make nothing.
        """
        found = self.available(condition)
        if found is None or count <= found:
            return
        of_class = "" if condition is None else f" of class {condition}"
        given = "samples" if self.samples is not None else "images"
        remedy = "ask for at most that many, or give more"
        if found < fewest:
            remedy = f"give at least {fewest:,}, or remove this stage"
        raise SpecError(
            f"{key}: {count:,} images{of_class} of generator {self.name} asked for, but there are "
            f"{found:,} {given}{of_class}; {remedy}"
        )


@dataclass(frozen=True)
class Facts:
    """Everything a spec names.

    ``groups`` by group name; ``references`` by the stage that has a reference set; ``backbone`` is
    LPIPS's, None where no stage uses it; ``extractors`` by the spec's names for them. ``shared``
    are pictures that groups of different roles have in common. ``classifiers`` has what users' own
    classifiers are known by, by stage. ``segmenter`` is the SHA-256 of the user's, None where the
    spec names none.
    """

    generators: dict[str, GeneratorFacts]
    groups: dict[str, DatasetFacts]
    references: dict[str, DatasetFacts]
    image_shape: tuple[int, int, int]
    backbone: Backbone | None
    shared: tuple[SharedImages, ...] = ()
    classifiers: dict[str, str] = field(default_factory=dict)
    extractors: dict[str, Extractor] = field(default_factory=dict)
    segmenter: str | None = None

    @property
    def dimensions(self) -> int:
        """D: how many values an image has."""
        return math.prod(self.image_shape)
