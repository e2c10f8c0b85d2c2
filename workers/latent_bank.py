"""The bank of latents that all searches of a generator in this process start from."""

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from ..core.bank import Bank
from ..core.generators.protocol import Generator
from .generator_source import GeneratorSource
from .pace import Pace
from .resources import Resources
from .row_memory import bank_bytes

# A probe searches from two: that of the estimate it probes, and its own.
_MOST_BANKS = 2


def shared_bank(
    generator: Generator, settings: Mapping[str, Any], resources: Resources
) -> Bank | None:
    """The bank of shards of the same generator and seed, whatever their stage; None without one."""
    if not settings["bank"]:
        return None
    seed, device = settings["bank_seed"], resources.device
    return resources.kept(
        "bank",
        (GeneratorSource.of(settings), settings["weights"], seed),
        lambda: Bank(_Aside(generator, resources.pace), seed, bank_bytes(device)),
        most=_MOST_BANKS,
    )


class _Aside:
    """A generator whose calls are of no shard: a bank is decoded once for many."""

    def __init__(self, generator: Generator, pace: Pace) -> None:
        self._generator = generator
        self._pace = pace

    @property
    def latent_dim(self) -> int:
        return self._generator.latent_dim

    @property
    def num_classes(self) -> int:
        return self._generator.num_classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        return self._generator.image_shape

    def __call__(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch channels height width"]:
        with self._pace.aside():
            return self._generator(latent, condition)

    def to(self, device: torch.device) -> "_Aside":
        return _Aside(self._generator.to(device), self._pace)
