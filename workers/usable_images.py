"""Images that are asked for, and why some cannot be used: one says nothing of those beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .datasets import ImageError, ImageSet, shard_image_set
from .generated_images import Draw, GeneratedImages, shard_generated_images
from .outcome import Failure, Outcome
from .resources import Resources
from .shard import Item

NOT_FINITE = "the generator's image has values that are NaN or infinite"


@dataclass(frozen=True)
class UsableImages:
    """Those of the images asked for that can be used, in their order.

    ``images`` is [usable, C, H, W], and ``failures`` has the others by their place among all.
    """

    images: Tensor
    failures: Mapping[int, Failure]

    @property
    def places(self) -> list[int]:
        """The place of each usable image among all."""
        every = range(len(self.images) + len(self.failures))
        return [place for place in every if place not in self.failures]

    def in_place(self, found: Sequence[Outcome]) -> list[Outcome]:
        """What was found of the usable images, with the failures of the others among them."""
        outcomes: dict[int, Outcome] = dict(zip(self.places, found, strict=True))
        outcomes.update(self.failures)
        return [outcomes[place] for place in range(len(outcomes))]


def usable_images(
    items: Sequence[Item], settings: Mapping[str, Any], real: str, resources: Resources
) -> UsableImages:
    """A shard's images by the numbers of its items, on the worker's device.

    They are the generator's that its settings name, or of the image set that these call ``real``.
    """
    numbers = [image_number(item) for item in items]
    if "generated" in settings:
        made = shard_generated_images(settings["generated"], resources)
        draws = [(item.condition, number) for item, number in zip(items, numbers, strict=True)]
        return usable_generated(made, draws)
    source, shape = shard_image_set(settings[real], resources), settings[real]["image_shape"]
    return usable_real(source, numbers, shape, resources.device)


def image_number(item: Item) -> int:
    """Which image of a set, or which draw of a generator, an item asks for."""
    assert item.index is not None, "an image is named by its number"
    return item.index


def usable_generated(made: GeneratedImages, draws: Sequence[Draw]) -> UsableImages:
    """A generator's images, without those that are not finite and samples that cannot be read.

    They are on the worker's device.
    """
    try:
        images = made.images(draws)
    except ImageError as error:
        if len(draws) == 1:
            return UsableImages(torch.empty(0), {0: image_failure(error)})
        return _each_alone(made, draws)
    finite = images.flatten(1).isfinite().all(dim=1)
    bad = (~finite).nonzero().flatten().tolist()
    return UsableImages(images[finite], {place: Failure(NOT_FINITE) for place in bad})


def _each_alone(made: GeneratedImages, draws: Sequence[Draw]) -> UsableImages:
    parts: list[Tensor] = []
    failures: dict[int, Failure] = {}
    for place, draw in enumerate(draws):
        alone = usable_generated(made, [draw])
        if alone.failures:
            failures[place] = alone.failures[0]
        else:
            parts.append(alone.images)
    return UsableImages(torch.cat(parts) if parts else torch.empty(0), failures)


def usable_real(
    source: ImageSet, places: Sequence[int], shape: Sequence[int], device: torch.device
) -> UsableImages:
    """Images at these places of a set, of that ``shape``, without those that cannot be read."""
    pixels: list[np.ndarray] = []
    failures: dict[int, Failure] = {}
    for position, place in enumerate(places):
        try:
            pixels.append(source.image(place)[0])
        except ImageError as error:
            failures[position] = image_failure(error)
    images = torch.from_numpy(np.array(pixels, np.float32).reshape(-1, *shape))
    return UsableImages(images.to(device), failures)


def image_failure(error: ImageError) -> Failure:
    """Why an image cannot be used, as its row says it."""
    return Failure(f"ImageError: {error}")
