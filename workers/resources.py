"""What a worker process holds on to between shards: models, image sets, what it read."""

import socket
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import torch

from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..cluster.storage import Storage, StorageError
from ..core.generators.protocol import Generator
from ..core.perceptual import LpipsDistance
from .datasets import ImageSet, open_dataset
from .generators import open_generator
from .user_networks import UserNetwork

Kept = TypeVar("Kept")


class ChangedInputError(StorageError):
    """What a shard is computed from is not what the run was planned with."""


class Resources:
    """Opens each generator and reference set once a process, on one device; keeps what was read.

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
        self._kept: dict[str, OrderedDict[Hashable, Any]] = {}

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
        from .lpips_backbone import open_perceptual

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
                    f"fingerprint of image set {settings['dataset']} in {place}", found, planned
                )
            self._image_sets[key] = images
        return self._image_sets[key]

    def kept(
        self, kind: str, key: Hashable, make: Callable[[], Kept], most: int | None = None
    ) -> Kept:
        """What ``make`` gave for ``key``, kept for the next shard that asks for it.

        Of each kind, only the ``most`` that were asked for last are kept; all of them by default.
        What gives way does so before ``make`` is called: large things may not fit in twice.
        """
        kept = self._kept.setdefault(kind, OrderedDict())
        if key not in kept:
            while most is not None and len(kept) >= most:
                kept.popitem(last=False)
            kept[key] = make()
        kept.move_to_end(key)
        found: Kept = kept[key]
        return found


def _changed(what: str, found: str, planned: str) -> ChangedInputError:
    return ChangedInputError(
        f"on {socket.gethostname()} the {what} is {found}, but the run was planned with "
        f"{planned}: put the same files in the same place on every node, then run the same "
        "command again"
    )
