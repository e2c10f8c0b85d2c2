"""What a worker process holds on to between shards: models, image sets, what it read."""

import socket
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from ..cluster.s3_settings import BY_ENVIRONMENT, S3Settings
from ..cluster.storage import Storage, StorageError
from .pace import Pace

if TYPE_CHECKING:
    import torch

Kept = TypeVar("Kept")


class ChangedInputError(StorageError):
    """What a shard is computed from is not what the run was planned with."""

    @classmethod
    def of(cls, what: str, found: str, planned: str) -> "ChangedInputError":
        """Says ``what`` of an input was ``found`` on this machine, and ``planned``."""
        return cls(
            f"on {socket.gethostname()} the {what} is {found}, but the run was planned with "
            f"{planned}: put the same files in the same place on every node, then run the same "
            "command again"
        )

    @classmethod
    def gone(cls, what: str, error: Exception) -> "ChangedInputError":
        """Says ``what`` of an input cannot be opened any more on this machine, and why."""
        return cls(
            f"on {socket.gethostname()} the {what} cannot be read any more ({error}). No image is "
            "counted as failed for that: bring its folder or disk back, then run the same command "
            "again"
        )


class Resources:
    """Where a worker reads and computes, and what it keeps: each thing is made once a process.

    Args:
        storage: The run directory.
        device: Where tensors live.
        service: Of models and image sets at ``s3://`` addresses.
        pace: Told of the generators' evaluations.
        compiles: Whether chains of small generators are compiled.
    """

    def __init__(
        self,
        storage: Storage,
        device: "torch.device",
        service: S3Settings = BY_ENVIRONMENT,
        pace: Pace | None = None,
        *,
        compiles: bool = False,
    ) -> None:
        self.storage = storage
        self.device = device
        self.service = service
        self.pace = Pace({}) if pace is None else pace
        self.compiles = compiles
        self._kept: dict[str, OrderedDict[Hashable, Any]] = {}

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
