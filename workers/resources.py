"""What a worker process holds on to between shards: models, image sets and the run's images."""

import socket
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..cluster.storage import Storage, StorageError
from ..core.generators.protocol import Generator
from ..core.patch_mixture import PatchMixture
from ..core.perceptual import LpipsDistance
from .datasets import ImageSet, open_dataset
from .generators import open_generator
from .outcome import Failure
from .part_file import read_columns, read_part
from .shard import Item
from .user_networks import UserNetwork

_PARTS_KEPT = 8
_MIXTURES_KEPT = 64
_PIXEL_COLUMNS = ("pixels", "channels", "height", "width")

Kept = TypeVar("Kept")


class ChangedInputError(StorageError):
    """What a shard is computed from is not what the run was planned with."""


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
        service: Of models and image sets at ``s3://`` addresses.
    """

    def __init__(
        self, storage: Storage, device: torch.device, service: S3Settings = BY_ENVIRONMENT
    ) -> None:
        self.storage = storage
        self.device = device
        self._service = service
        self._generators: dict[Hashable, Generator] = {}
        self._image_sets: dict[str, ImageSet] = {}
        self._distances: dict[tuple[str, str | None], LpipsDistance] = {}
        self._latest: tuple[Hashable, Any] | None = None
        self._image_parts: OrderedDict[str, list[StoredImage]] = OrderedDict()
        self._inverted: OrderedDict[tuple[str, str, str], list[list[float]]] = OrderedDict()
        self._mixtures: OrderedDict[str, PatchMixture | Failure] = OrderedDict()

    def generator(self, settings: Mapping[str, Any]) -> Generator:
        """The generator that a shard's settings name.

        Raises:
            ChangedInputError: what lies there has other weights than the run was planned with.
        """
        own = settings.get("network")
        network = None if own is None else UserNetwork.of(own)
        names = ("source", "import_path", "family", "truncation")
        source, import_path, family, truncation = (settings[name] for name in names)
        key = (source, import_path, family, truncation, network, settings["weights"])
        if key not in self._generators:
            opened = open_generator(source, import_path, family, truncation, self._service, network)
            if opened.sha256 != settings["weights"]:
                raise _changed(f"SHA-256 of generator {source}", opened.sha256, settings["weights"])
            self._generators[key] = opened.generator.to(self.device)
        return self._generators[key]

    def perceptual(self, network: str, weights: str | None) -> LpipsDistance:
        """The LPIPS distance with that backbone."""
        from .perceptual import open_perceptual

        key = (network, weights)
        if key not in self._distances:
            self._distances[key] = open_perceptual(network, weights, self.device, self._service)
        return self._distances[key]

    def image_set(self, settings: Mapping[str, Any]) -> ImageSet:
        """The image set that a shard's settings name.

        Raises:
            ChangedInputError: what lies there is not what the run was planned with.
        """
        key = settings["hash"]
        if key not in self._image_sets:
            images = open_dataset(
                settings["dataset"],
                split=settings["split"] or "",
                path=settings["path"],
                image_shape=tuple(settings["image_shape"]),
                seed=settings["seed"],
                service=self._service,
                resize=settings.get("resize"),
                crop=settings.get("crop"),
                attribute=settings.get("attribute"),
            )
            found, planned = images.fingerprint(), settings["fingerprint"]
            if found != planned:
                place = settings["path"] or "its usual place"
                raise _changed(
                    f"fingerprint of image set {settings['dataset']} of {place}", found, planned
                )
            self._image_sets[key] = images
        return self._image_sets[key]

    def latest(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """What ``make`` gives, kept until another key is asked for: large things, one at a time."""
        if self._latest is None or self._latest[0] != key:
            self._latest = None
            self._latest = (key, make())
        kept: Kept = self._latest[1]
        return kept

    def images(self, items: Sequence[Item]) -> Tensor:
        """The items' images from the run's ``images`` table, float32 [items, C, H, W] in [0, 1]."""
        return torch.from_numpy(np.stack([self._image(item) for item in items])).to(self.device)

    def restart_latents(self, item: Item) -> npt.NDArray[np.float32]:
        """The item's ``restart_latent`` in the table of its inversion, flat; empty without one."""
        if item.inversion_part is None:
            return np.empty(0, np.float32)
        return self.inverted(item, "restart_latent")

    def inverted(self, item: Item, column: str) -> npt.NDArray[np.float32]:
        """A list of the item's row in the table of its inversion."""
        if item.inversion_part is None or item.inversion_row is None:
            raise ValueError(f"item {item.image_id} names no inversion")
        key = (item.inversion_table or "inversion", item.inversion_part, column)
        if key not in self._inverted:
            rows = read_columns(self.storage, *key[:2], [column]).to_pylist()
            self._inverted[key] = [row[column] for row in rows]
            if len(self._inverted) > _PARTS_KEPT:
                self._inverted.popitem(last=False)
        return np.asarray(self._inverted[key][item.inversion_row], np.float32)

    def patch_mixture(self, part: str) -> PatchMixture | Failure:
        """The mixture in a part of the ``patch_fit`` table, or why it could not be fitted."""
        if part not in self._mixtures:
            self._mixtures[part] = _mixture(
                read_part(self.storage, "patch_fit", part).to_pylist()[0]
            )
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
        table = read_part(self.storage, "images", part, ["source", *_PIXEL_COLUMNS])
        self._image_parts[part] = [_stored_image(table, row) for row in range(len(table))]
        if len(self._image_parts) > _PARTS_KEPT:
            self._image_parts.popitem(last=False)
        return self._image_parts[part]


def _changed(what: str, found: str, planned: str) -> ChangedInputError:
    return ChangedInputError(
        f"on {socket.gethostname()} the {what} is {found}, but the run was planned with {planned}: "
        "put the same files at that place on every node, then run the same command again"
    )


def _stored_image(table: pa.Table, row: int) -> StoredImage:
    source, pixels, *shape = (table[name][row] for name in ("source", *_PIXEL_COLUMNS))
    if not pixels.is_valid:
        return StoredImage(source.as_py(), None)
    # Straight from Arrow: a list of Python numbers would take eight times the memory.
    values = pixels.values.to_numpy().reshape([size.as_py() for size in shape])
    return StoredImage(source.as_py(), values)


def _mixture(row: dict[str, Any]) -> PatchMixture | Failure:
    if row["weights"] is None:
        return Failure(f"the patch model of class {row['condition']} failed: {row['error']}")
    weights = np.asarray(row["weights"])
    means = np.asarray(row["means"]).reshape(len(weights), -1)
    dimensions = means.shape[1]
    cholesky = np.asarray(row["precision_cholesky"]).reshape(-1, dimensions, dimensions)
    return PatchMixture(weights, means, cholesky, row["patch_mean"])
