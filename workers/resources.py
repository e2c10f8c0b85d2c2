"""What a worker process holds on to between shards: models, image sets and the run's images."""

import io
import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq
import torch
from torch import Tensor

from ..cluster.storage import LocalStorage
from ..core.generators.protocol import Generator
from ..core.inversion import Distance
from ..core.patch_mixture import PatchMixture
from .datasets import ImageError, ImageSet, open_dataset
from .generators import open_generator
from .outcome import Failure
from .shard import Item, part_path

_PARTS_KEPT = 8
_MIXTURES_KEPT = 64

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredImage:
    """A row of the ``images`` table: where it came from, and its pixels unless it failed."""

    source: str | None
    pixels: npt.NDArray[np.float32] | None


class Resources:
    """Opens each generator, reference set and image part once a process, on one device.

    Args:
        storage: The run directory.
        device: Where tensors live.
    """

    def __init__(self, storage: LocalStorage, device: torch.device) -> None:
        self.storage = storage
        self.device = device
        self._generators: dict[tuple[str, str | None], Generator] = {}
        self._image_sets: dict[str, ImageSet] = {}
        self._references: dict[
            str, tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], list[str]]
        ] = {}
        self._distances: dict[tuple[str, str | None], Distance] = {}
        self._image_parts: OrderedDict[str, list[StoredImage]] = OrderedDict()
        self._restart_latents: OrderedDict[str, list[list[float]]] = OrderedDict()
        self._mixtures: OrderedDict[str, PatchMixture | Failure] = OrderedDict()

    def generator(self, settings: Mapping[str, Any]) -> Generator:
        """The generator that a shard's settings name (``source``, ``import_path``)."""
        key = (settings["source"], settings["import_path"])
        if key not in self._generators:
            opened = open_generator(key[0], base_dir=key[1])
            self._generators[key] = opened.generator.to(self.device)
        return self._generators[key]

    def perceptual(self, network: str, weights: str | None) -> Distance:
        """The LPIPS distance with that backbone."""
        from .perceptual import open_perceptual

        key = (network, weights)
        if key not in self._distances:
            self._distances[key] = open_perceptual(network, weights, self.device)
        return self._distances[key]

    def image_set(self, settings: Mapping[str, Any]) -> ImageSet:
        """The image set that a shard's settings name."""
        key = settings["hash"]
        if key not in self._image_sets:
            self._image_sets[key] = open_dataset(
                settings["dataset"],
                split=settings["split"] or "",
                path=settings["path"],
                image_shape=tuple(settings["image_shape"]),
                seed=settings["seed"],
            )
        return self._image_sets[key]

    def reference(
        self, settings: Mapping[str, Any]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64], list[str]]:
        """A whole image set as (pixels [N, D], labels [N] with -1 for none, sources [N]).

        Images that cannot be used are left out, and counted in the log.
        """
        key = settings["hash"]
        if key not in self._references:
            images = self.image_set(settings)
            pixels, labels, sources = [], [], []
            for index in range(images.length or 0):
                try:
                    image, label = images.image(index)
                except ImageError as error:
                    logger.warning("left out of the reference images: %s", error)
                    continue
                pixels.append(image.ravel())
                labels.append(-1 if label is None else label)
                sources.append(images.source(index))
            self._references[key] = (np.stack(pixels), np.array(labels, np.int64), sources)
        return self._references[key]

    def images(self, items: Sequence[Item]) -> Tensor:
        """The items' images from the run's ``images`` table, float32 [items, C, H, W] in [0, 1]."""
        return torch.from_numpy(np.stack([self._image(item) for item in items])).to(self.device)

    def restart_latents(self, item: Item) -> npt.NDArray[np.float32]:
        """The item's ``restart_latent`` in the ``inversion`` table, flat; empty without one."""
        if item.inversion_part is None or item.inversion_row is None:
            return np.empty(0, np.float32)
        key = item.inversion_part
        if key not in self._restart_latents:
            content = self.storage.read(part_path("inversion", key))
            rows = pq.read_table(io.BytesIO(content), columns=["restart_latent"]).to_pylist()
            self._restart_latents[key] = [row["restart_latent"] for row in rows]
            if len(self._restart_latents) > _PARTS_KEPT:
                self._restart_latents.popitem(last=False)
        return np.asarray(self._restart_latents[key][item.inversion_row], np.float32)

    def patch_mixture(self, part: str) -> PatchMixture | Failure:
        """The mixture in a part of the ``patch_fit`` table, or why it could not be fitted."""
        if part not in self._mixtures:
            content = self.storage.read(part_path("patch_fit", part))
            self._mixtures[part] = _mixture(pq.read_table(io.BytesIO(content)).to_pylist()[0])
            if len(self._mixtures) > _MIXTURES_KEPT:
                self._mixtures.popitem(last=False)
        return self._mixtures[part]

    def source(self, item: Item) -> str | None:
        """Where the item's image came from, as its dataset names it."""
        return self._stored(item).source

    def _image(self, item: Item) -> npt.NDArray[np.float32]:
        pixels = self._stored(item).pixels
        if pixels is None:
            raise ValueError(f"image {item.image_id} failed in the images stage")
        return pixels

    def _stored(self, item: Item) -> StoredImage:
        if item.image_part is None or item.image_row is None:
            raise ValueError(f"item {item.image_id} names no stored image")
        return self._part(item.image_part)[item.image_row]

    def _part(self, part: str) -> list[StoredImage]:
        if part in self._image_parts:
            self._image_parts.move_to_end(part)
            return self._image_parts[part]
        content = self.storage.read(part_path("images", part))
        columns = ["source", "pixels", "channels", "height", "width"]
        rows = pq.read_table(io.BytesIO(content), columns=columns).to_pylist()
        self._image_parts[part] = [_stored_image(row) for row in rows]
        if len(self._image_parts) > _PARTS_KEPT:
            self._image_parts.popitem(last=False)
        return self._image_parts[part]


def _stored_image(row: dict[str, Any]) -> StoredImage:
    if row["pixels"] is None:
        return StoredImage(row["source"], None)
    shape = (row["channels"], row["height"], row["width"])
    return StoredImage(row["source"], np.asarray(row["pixels"], np.float32).reshape(shape))


def _mixture(row: dict[str, Any]) -> PatchMixture | Failure:
    if row["weights"] is None:
        return Failure(f"the patch model of class {row['condition']} failed: {row['error']}")
    weights = np.asarray(row["weights"])
    means = np.asarray(row["means"]).reshape(len(weights), -1)
    dimensions = means.shape[1]
    cholesky = np.asarray(row["precision_cholesky"]).reshape(-1, dimensions, dimensions)
    return PatchMixture(weights, means, cholesky, row["patch_mean"])
