"""The protocol that every audited generator follows."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor


@runtime_checkable
class Generator(Protocol):
    """A trained generator x = G(z; c) with the prior z ~ N(0, I).

    Calls are deterministic (noise inputs fixed, batch statistics in evaluation mode) and
    differentiable in the latent. ``num_classes`` is 0 for an unconditional generator, whose
    condition is None. ``image_shape`` is (channels, height, width).
    """

    @property
    def latent_dim(self) -> int:
        """The length d of a latent."""
        ...

    @property
    def num_classes(self) -> int:
        """How many classes a condition may name; 0 for none."""
        ...

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        ...

    def __call__(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch channels height width"]:
        """Images in [0, 1], one per row of ``latent``; ``condition`` holds class indices."""
        ...

    def to(self, device: torch.device) -> "Generator":
        """The same generator with its weights on ``device``."""
        ...
