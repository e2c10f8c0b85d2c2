"""Images with labels that are read in batches: in memory, or generated as they are asked for."""

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from ..generators.protocol import Generator
from ..quantisation import quantise
from ..samplers.noise import Stream, item_normals


@runtime_checkable
class LabelledImages(Protocol):
    """A labelled set that need not fit in memory: any images of it by their numbers."""

    @property
    def labels(self) -> Int64[np.ndarray, " images"]:
        """The class of every image."""
        ...

    def batch(self, indices: Int64[np.ndarray, " batch"]) -> Float[Tensor, "batch c h w"]:
        """Those images, float32 in [0, 1], on the device that the classifier is on."""
        ...


class StoredImages:
    """Images that lie in memory as bytes or as floats in [0, 1]."""

    def __init__(
        self,
        pixels: UInt8[Tensor, "images c h w"] | Float[Tensor, "images c h w"],
        labels: Int64[np.ndarray, " images"],
    ) -> None:
        if len(pixels) != len(labels):
            raise ValueError(f"{len(labels)} labels for {len(pixels)} images: give one each")
        self.labels = labels
        self._pixels = pixels

    def batch(self, indices: Int64[np.ndarray, " batch"]) -> Float[Tensor, "batch c h w"]:
        """See LabelledImages."""
        pixels = self._pixels[torch.from_numpy(indices).to(self._pixels.device)]
        if pixels.dtype == torch.uint8:
            return pixels.to(torch.float32) / 255
        return pixels.to(torch.float32)


class GeneratedImages:
    """G(z; c) for latents z of the prior, made anew whenever they are asked for.

    Image i is that of ``seeds[i]`` and ``labels[i]`` wherever it stands in a batch, so that a set
    of any size costs the memory of its seeds. ``levels`` are the grey levels of the real images:
    without rounding to them a classifier could tell generated images by their in-between values.
    """

    def __init__(
        self,
        generator: Generator,
        labels: Int64[np.ndarray, " images"],
        seeds: Sequence[int],
        device: torch.device,
        levels: int | None,
    ) -> None:
        if len(seeds) != len(labels):
            raise ValueError(f"{len(seeds)} seeds for {len(labels)} labels: give one each")
        self.labels = labels
        self._generator = generator
        self._seeds = seeds
        self._like = torch.empty(0, device=device)
        self._levels = levels

    def batch(self, indices: Int64[np.ndarray, " batch"]) -> Float[Tensor, "batch c h w"]:
        """See LabelledImages."""
        seeds = [self._seeds[index] for index in indices]
        latent = item_normals(
            seeds, (Stream.SIMULATION,), (self._generator.latent_dim,), self._like
        )
        condition = None
        if self._generator.num_classes:
            condition = torch.from_numpy(self.labels[indices]).to(self._like.device)
        with torch.no_grad():
            images = self._generator(latent, condition)
        return quantise(images, self._levels).clamp(0, 1)


class Subset:
    """Some images of a set, in the order of ``indices``."""

    def __init__(self, images: LabelledImages, indices: Int64[np.ndarray, " kept"]) -> None:
        self.labels: Int64[np.ndarray, " kept"] = images.labels[indices]
        self._images = images
        self._indices = indices

    def batch(self, indices: Int64[np.ndarray, " batch"]) -> Float[Tensor, "batch c h w"]:
        """See LabelledImages."""
        return self._images.batch(self._indices[indices])


class OfAttribute:
    """Images whose class is one bit of their class in a set: 1 with an attribute, 0 without it.

    ``shift`` is the bit's place from the lowest.
    """

    def __init__(self, images: LabelledImages, shift: int) -> None:
        self.labels: Int64[np.ndarray, " images"] = (images.labels >> shift) & 1
        self._images = images

    def batch(self, indices: Int64[np.ndarray, " batch"]) -> Float[Tensor, "batch c h w"]:
        """See LabelledImages."""
        return self._images.batch(indices)


class Joined:
    """Several sets one after another: real images and generated ones, or classes' own sets."""

    def __init__(self, parts: Sequence[LabelledImages]) -> None:
        self.labels: Int64[np.ndarray, " images"] = np.concatenate([part.labels for part in parts])
        self._parts = parts
        self._ends = np.cumsum([len(part.labels) for part in parts])

    def batch(self, indices: Int64[np.ndarray, " batch"]) -> Float[Tensor, "batch c h w"]:
        """See LabelledImages."""
        owner = np.searchsorted(self._ends, indices, side="right")
        pieces, places = [], []
        for number in np.unique(owner):
            mine = np.flatnonzero(owner == number)
            start = self._ends[number] - len(self._parts[number].labels)
            pieces.append(self._parts[number].batch(indices[mine] - start))
            places.append(mine)
        joined = torch.cat(pieces)
        order = torch.from_numpy(np.argsort(np.concatenate(places))).to(joined.device)
        return joined[order]


def down_sampled(
    labels: Int64[np.ndarray, " images"], factor: int, seed: int
) -> Int64[np.ndarray, " kept"]:
    """Numbers of N / ``factor`` images at random without replacement ([CB] 3.4), ascending.

    Every class that there is keeps at least one image: a classifier cannot learn one that it never
    saw, which says nothing of diversity.

    Raises:
        ValueError: fewer images would be left than there are classes.
    """
    count, classes = round(len(labels) / factor), np.unique(labels)
    if factor < 1 or count < len(classes):
        raise ValueError(
            f"1/{factor} of {len(labels)} images is {count}: fewer than the {len(classes)} "
            "classes; take a smaller factor"
        )
    order = np.random.default_rng(seed).permutation(len(labels))
    firsts = np.unique(labels[order], return_index=True)[1]
    rest = np.setdiff1d(np.arange(len(labels)), firsts)
    kept = order[np.concatenate([firsts, rest[: count - len(firsts)]])]
    return np.sort(kept)


def balanced(labels: Int64[np.ndarray, " images"], seed: int) -> Int64[np.ndarray, " kept"]:
    """Numbers of as many images of every class as the rarest has, at random, ascending."""
    order = np.random.default_rng(seed).permutation(len(labels))
    classes, counts = np.unique(labels, return_counts=True)
    fewest = int(counts.min())
    kept = [order[labels[order] == each][:fewest] for each in classes]
    return np.sort(np.concatenate(kept))
