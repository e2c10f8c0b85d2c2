"""Labelled images on the local disk: a training set of any size takes no memory but its labels'."""

import logging
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from ..core.classifiers.labelled_images import down_sampled
from ..core.quantisation import EIGHT_BIT_LEVELS
from .datasets import ImageError, ImageSet, shard_image_set
from .generated_images import Draw, GeneratedImages
from .resources import Resources
from .usable_images import usable_generated

_BATCH = 256

logger = logging.getLogger(__name__)


class SpooledImages:
    """Images in a temporary file that goes with the process, however that ends.

    With at most 256 grey ``levels`` an image is a byte for each value; without, or with more, four.
    Images are rounded to the levels: a classifier could tell generated images by what lies between.
    """

    def __init__(
        self, shape: Sequence[int], levels: int | None, most: int, device: torch.device
    ) -> None:
        bytes_hold_it = levels is not None and levels <= EIGHT_BIT_LEVELS
        self._steps = levels - 1 if levels is not None else None
        # The map outlives the open file, whose name is gone from the start.
        with tempfile.TemporaryFile() as file:
            self._pixels = np.memmap(
                file,
                dtype=np.uint8 if bytes_hold_it else np.float32,
                mode="w+",
                shape=(max(most, 1), *shape),
            )
        self._device = device
        self.labels: Int64[np.ndarray, " images"] = np.zeros(0, dtype=np.int64)

    def extend(
        self, images: Float[Tensor, "n channels height width"], labels: Sequence[int]
    ) -> None:
        """Writes images after those that there are, with their classes."""
        start = len(self.labels)
        values = images.clamp(0, 1).cpu().numpy()
        if self._steps is not None:
            values = np.round(values * self._steps)
            if self._pixels.dtype != np.uint8:
                values /= self._steps
        self._pixels[start : start + len(values)] = values
        self.labels = np.concatenate([self.labels, np.asarray(labels, dtype=np.int64)])

    def batch(self, indices: Int64[np.ndarray, " batch"]) -> Float[Tensor, "batch c h w"]:
        """See LabelledImages."""
        pixels = torch.from_numpy(np.asarray(self._pixels[indices])).to(self._device)
        if pixels.dtype == torch.uint8 and self._steps is not None:
            return pixels.to(torch.float32) / self._steps
        return pixels


def real_images(
    settings: Mapping[str, Any], levels: int | None, resources: Resources
) -> SpooledImages:
    """A whole labelled image set; images that cannot be used are left out, and named in the log."""

    def spooled() -> SpooledImages:
        images = shard_image_set(settings, resources)
        labels = images.labels()
        assert labels is not None, "validation refuses a set without classes or without end"
        spool = SpooledImages(images.image_shape, levels, len(labels), resources.device)
        for start in range(0, len(labels), _BATCH):
            found = _readable(images, range(start, min(start + _BATCH, len(labels))))
            if found:
                pixels = np.stack(list(found.values()))
                spool.extend(torch.from_numpy(pixels), labels[list(found)].tolist())
        return spool

    return resources.kept("real images", (settings["hash"], levels), spooled, most=2)


def _readable(images: ImageSet, numbers: Iterable[int]) -> dict[int, np.ndarray]:
    found = {}
    for number in numbers:
        try:
            found[number] = images.image(number)[0]
        except ImageError as error:
            logger.warning("left out of the classifiers' images: %s", error)
    return found


def subset_of(images: SpooledImages, factor: int, seed: int) -> Int64[np.ndarray, " kept"]:
    """Numbers of 1/``factor`` of the images, all of them where that is 1."""
    if factor == 1:
        return np.arange(len(images.labels), dtype=np.int64)
    return down_sampled(images.labels, factor, seed)


def generated_images(
    source: GeneratedImages,
    draws: Sequence[Draw],
    labels: Sequence[int | None],
    annotate: Any,
    spool: SpooledImages,
) -> SpooledImages:
    """Those images of a generator; ``annotate`` gives the classes of images that have none.

    Images that cannot be used are left out, and named in the log.
    """
    for start in range(0, len(draws), _BATCH):
        made = usable_generated(source, draws[start : start + _BATCH])
        for place, failure in made.failures.items():
            logger.warning(
                "left out of the classifiers' images: number %d: %s",
                draws[start + place][1],
                failure.error,
            )
        if not len(made.images):
            continue
        known = [labels[start + place] for place in made.places]
        if any(label is None for label in known):
            found = annotate(made.images)
            known = [
                each if label is None else label for label, each in zip(known, found, strict=True)
            ]
        spool.extend(made.images, [int(label) for label in known if label is not None])
    return spool
