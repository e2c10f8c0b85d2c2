"""Small parts of what stages compute without a generator, made ready to be timed.

They are done with a run's own code, on images that are made up or are the data's first.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from .process import keep_freed_memory, one_thread
from .timing import Seconds, in_rounds, timed

if TYPE_CHECKING:
    import torch

IMAGES = 8
"""So many are compared by LPIPS, or read, in one part."""
QUERIES, REFERENCES = 64, 1024
"""So many images, and so many that each is compared with."""
PATCHES, COMPONENTS = 4096, 2
"""So many patches under a mixture of so many."""
BATCHES = 4
"""So many batches that a classifier is trained on."""


class Part(Protocol):
    """A part of a stage's work; equal ones take as long."""

    def __hash__(self) -> int:
        """Equal ones are timed once."""

    def prepared(self, device: "torch.device", service: S3Settings) -> Callable[[], object]:
        """What is to be timed: what is done once, such as opening a file, is done."""


@dataclass(frozen=True)
class LpipsPart:
    """LPIPS of pairs of images, and where asked for its gradient in the first of each."""

    network: str
    weights: str | None
    image_shape: tuple[int, int, int]
    gradient: bool = False

    def prepared(self, device: "torch.device", service: S3Settings) -> Callable[[], object]:
        """See Part."""
        import torch

        from .lpips_backbone import open_perceptual

        distance = open_perceptual(self.network, self.weights, device, service)
        pairs = torch.linspace(0, 1, IMAGES, device=device)[:, None, None, None]
        first = pairs.expand(-1, *self.image_shape).clone().requires_grad_(self.gradient)
        second = 1 - first.detach()

        def compare() -> object:
            with torch.set_grad_enabled(self.gradient):
                total = distance(first, second).sum()
                if self.gradient:
                    total = torch.autograd.grad(total, first)[0].sum()
            return total.item()

        return compare


@dataclass(frozen=True)
class NearestPart:
    """The nearest references of queries, as vectors of so many values, within each class."""

    width: int
    classes: int

    def prepared(self, device: "torch.device", service: S3Settings) -> Callable[[], object]:
        """See Part."""
        import numpy as np

        from ..core.statistics.neighbours import nearest

        del device, service
        random = np.random.default_rng(0)
        queries, references = (
            random.random((rows, self.width), dtype=np.float32) for rows in (QUERIES, REFERENCES)
        )
        labels = np.full(REFERENCES, -1)
        if self.classes:
            labels = np.arange(REFERENCES) % self.classes
        exclude = np.full(QUERIES, -1)
        return lambda: nearest(queries, references, labels, self.classes, exclude)


@dataclass(frozen=True)
class PatchPart:
    """The log densities of patches under a mixture of Gaussians, half of a step of its fit."""

    channels: int

    def prepared(self, device: "torch.device", service: S3Settings) -> Callable[[], object]:
        """See Part."""
        import numpy as np

        from ..core.patch_mixture import PatchMixture
        from ..core.patches import PATCH_SIDE

        del device, service
        width = self.channels * PATCH_SIDE**2
        mixture = PatchMixture(
            np.full(COMPONENTS, 1 / COMPONENTS),
            np.zeros((COMPONENTS, width)),
            np.stack([np.eye(width)] * COMPONENTS),
            "kept",
        )
        shape = PATCHES, self.channels, PATCH_SIDE, PATCH_SIDE
        images = np.random.default_rng(0).random(shape, dtype=np.float32)
        return lambda: mixture.log_density(images)


@dataclass(frozen=True)
class TrainingPart:
    """Steps of a classifier's training, in batches of so many images."""

    architecture: str
    image_shape: tuple[int, int, int]
    classes: int
    batch_size: int

    def prepared(self, device: "torch.device", service: S3Settings) -> Callable[[], object]:
        """See Part."""
        import numpy as np
        import torch

        from ..core.classifiers.architectures import build_classifier
        from ..core.classifiers.labelled_images import StoredImages
        from ..core.classifiers.training import ClassifierTraining
        from ..core.settings.classifiers import ClassifierSettings

        del service
        classifier = build_classifier(self.architecture, self.image_shape, self.classes, seed=0)
        random, labels = np.random.default_rng(0), np.arange(self.batch_size) % self.classes
        pixels = random.random((self.batch_size, *self.image_shape), dtype=np.float32)
        images = StoredImages(torch.from_numpy(pixels).to(device), labels)
        # One round, whose end nobody sees; a rate at which nothing grows.
        endless = ClassifierSettings(1e-6, self.batch_size, round_batches=10**9)
        training = ClassifierTraining(classifier.to(device), images, endless, seed=0)
        return lambda: training.advance(BATCHES)


@dataclass(frozen=True)
class ReadingPart:
    """The first images of a set, which is recognised by its hash."""

    sha256: str
    settings: Mapping[str, Any] = field(compare=False)

    def prepared(self, device: "torch.device", service: S3Settings) -> Callable[[], object]:
        """See Part."""
        from .datasets import ImageError, open_shard_set

        del device
        images = open_shard_set(self.settings, service)
        first = range(IMAGES if images.length is None else min(IMAGES, images.length))

        def read() -> None:
            for index in first:
                try:
                    images.image(index)
                except ImageError:
                    # Its row will say so.
                    continue

        return read


def part_seconds(
    parts: Iterable[Part], device: "torch.device", service: S3Settings = BY_ENVIRONMENT
) -> dict[Part, Seconds]:
    """The range of each part's seconds, with the thread and the memory that a worker has.

    Those that fail are left out: what is wrong with them is for the stage itself to say.
    """
    keep_freed_memory()
    with one_thread():
        calls = {}
        for part in parts:
            try:
                call = part.prepared(device, service)
                call()
            except Exception:  # noqa: BLE001 - of a user's files, or for want of memory
                continue
            calls[part] = _timing(call)
        return in_rounds(calls)


def _timing(call: Callable[[], object]) -> Callable[[], float]:
    return lambda: timed(call)
