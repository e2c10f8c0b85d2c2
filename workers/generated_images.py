"""Images of a generator by their number, whatever it is: drawn from a latent, or samples alone.

A number always stands for the same image, so numbers that differ are other images, and a set that
is too large for the memory is asked for piece by piece.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..core.quantisation import quantise
from ..core.samplers.noise import Stream, item_normals
from .datasets import ImageSet, shard_image_set
from .generators import shard_generator
from .resources import Resources
from .shard import item_seed

if TYPE_CHECKING:
    from ..core.generators.protocol import Generator

Draw = tuple[int | None, int]
"""An image: its class and its number among those of the class, or None and its number among all."""


class GeneratedImages(Protocol):
    """What a generator makes, or has made, each image by its number."""

    def images(self, draws: Sequence[Draw]) -> Tensor:
        """Noise-free images, float32 [draws, C, H, W], on the worker's device.

        Of number k among all, a class-conditional generator makes the class at place k mod C of
        those that are evaluated, so that classes have equal shares; samples are in random order,
        and keep the shares that they have.

        Raises:
            ImageError: a sample cannot be used.
            IndexError: there is no such class or number.
        """
        ...

    def labels(self, draws: Sequence[Draw]) -> list[int | None]:
        """The class of each image; None where images have none.

        Raises:
            IndexError: there is no such class or number.
        """
        ...


def draws_images(settings: Mapping[str, Any]) -> bool:
    """Whether a shard with these settings has a generator draw images, rather than its samples."""
    generated = settings.get("generated")
    return generated is not None and generated.get("samples") is None


def shard_generated_images(settings: Mapping[str, Any], resources: Resources) -> GeneratedImages:
    """The images of the generator that a shard's settings name; opened once.

    Raises:
        ChangedInputError: what lies there is not what the run was planned with.
        GeneratorError: it cannot be opened.
        DatasetError: its samples cannot be opened.
    """
    samples, seed = settings.get("samples"), settings["image_seed"]
    if samples is None:
        generator = shard_generator(settings, resources)
        classes = settings.get("conditions", range(generator.num_classes))
        return DrawnImages(generator, seed, settings["levels"], resources.device, tuple(classes))
    return resources.kept(
        "samples",
        (samples["hash"], seed),
        lambda: SampleImages(shard_image_set(samples, resources), seed, resources.device),
    )


class DrawnImages:
    """Images G(z) with z from the prior, rounded to the grey levels of the data."""

    def __init__(
        self,
        generator: "Generator",
        seed: int,
        levels: int | None,
        device: torch.device,
        classes: tuple[int, ...],
    ) -> None:
        """``classes`` are those that are made; none of an unconditional generator."""
        self._generator = generator
        self._classes = classes
        self._seed = seed
        self._levels = levels
        self._like = torch.empty(0, device=device)

    def images(self, draws: Sequence[Draw]) -> Tensor:
        """See GeneratedImages."""
        generator = self._generator
        placed = [self._placed(draw) for draw in draws]
        seeds = [item_seed(self._seed, *each) for each in placed]
        latent = item_normals(seeds, (Stream.SIMULATION,), (generator.latent_dim,), self._like)
        condition = None
        if generator.num_classes:
            classes = [label for label, _ in placed]
            condition = torch.tensor(classes, dtype=torch.int64, device=self._like.device)
        with torch.no_grad():
            return quantise(generator(latent, condition), self._levels)

    def labels(self, draws: Sequence[Draw]) -> list[int | None]:
        """See GeneratedImages."""
        return [self._placed(draw)[0] for draw in draws]

    def _placed(self, draw: Draw) -> Draw:
        """The image by its number in its class, where there are classes."""
        label, number = draw
        classes = self._classes
        if number < 0 or (label is not None and label not in classes):
            raise IndexError(f"no image {number} of class {label} of {len(classes)} classes")
        if classes and label is None:
            return classes[number % len(classes)], number // len(classes)
        return draw


class SampleImages:
    """Images out of a set, in an order of its own."""

    def __init__(self, images: ImageSet, seed: int, device: torch.device) -> None:
        """``images`` are a set with an end."""
        if images.length is None:
            raise ValueError(f"image set '{images.name}' is endless")
        self._images = images
        self._device = device
        self._order = sample_order(images.length, seed)
        self._labels = images.labels()
        ordered = None if self._labels is None else self._labels[self._order]
        self._of_class = {
            label: self._order[ordered == label]
            for label in ([] if ordered is None else np.unique(ordered).tolist())
        }

    def images(self, draws: Sequence[Draw]) -> Tensor:
        """See GeneratedImages."""
        pixels = np.stack([self._images.image(self._position(draw))[0] for draw in draws])
        return torch.from_numpy(pixels).to(self._device)

    def labels(self, draws: Sequence[Draw]) -> list[int | None]:
        """See GeneratedImages."""
        positions = [self._position(draw) for draw in draws]
        if self._labels is None:
            return [None] * len(draws)
        return [int(self._labels[position]) for position in positions]

    def _position(self, draw: Draw) -> int:
        label, number = draw
        order = self._order if label is None else self._of_class.get(label, self._order[:0])
        if not 0 <= number < len(order):
            of_class = "" if label is None else f" of class {label}"
            raise IndexError(f"no sample {number}{of_class}: there are {len(order)}")
        return int(order[number])


def sample_order(length: int, seed: int) -> NDArray[np.int64]:
    """The position in its set of each sample [N]: at random, because sets are sorted by class."""
    return np.random.default_rng(seed).permutation(length)
