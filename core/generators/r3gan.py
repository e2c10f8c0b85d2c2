"""The R3GAN generator (Huang et al. 2024): residual blocks of grouped convolutions, no norms."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from .low_pass import LowPass

_COARSEST = 4
_SLOPE = 0.2

Map = Float[Tensor, "batch channels height width"]


class GroupedBlock(nn.Module):
    """x + the third of a 1x1, a grouped and a 1x1 convolution, with leaky ReLUs between them."""

    def __init__(self, channels: int, inner: int, groups: int, kernel: int) -> None:
        """``inner`` channels in ``groups`` between the 1x1 convolutions; an odd ``kernel``."""
        super().__init__()
        self.widen = nn.Conv2d(channels, inner, 1)
        self.grouped = nn.Conv2d(inner, inner, kernel, padding=kernel // 2, groups=groups)
        self.narrow = nn.Conv2d(inner, channels, 1, bias=False)

    def forward(self, features: Map) -> Map:
        """The map, of the same shape."""
        residual = leaky_relu(self.widen(features), _SLOPE, inplace=True)
        residual = leaky_relu(self.grouped(residual), _SLOPE, inplace=True)
        added: Tensor = features + self.narrow(residual)
        return added


class R3GanGenerator(nn.Module):
    """A learned 4x4 map scaled by the latent and the class, then stages that double the size.

    Images are (x + 1) / 2 of the network's, and may leave [0, 1].
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        image_shape: Sequence[int],
        embedding_dim: int,
        channels: Sequence[int],
        inner: Sequence[int],
        groups: Sequence[int],
        blocks: Sequence[int],
        kernel: int,
    ) -> None:
        """One stage for each of ``channels``, at 4x4, 8x8 and so on.

        A stage has that many ``blocks``, of ``inner`` channels in ``groups`` (see `GroupedBlock`).
        ``num_classes`` 0 is unconditional.
        """
        super().__init__()
        side = _COARSEST << (len(channels) - 1)
        if tuple(image_shape[1:]) != (side, side):
            raise ValueError(f"{len(channels)} stages make {side}x{side}, not {image_shape}")
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.image_shape = (image_shape[0], side, side)
        self.embedding = nn.Embedding(num_classes, embedding_dim) if num_classes else None
        inputs = latent_dim + (embedding_dim if num_classes else 0)
        self.scales = nn.Linear(inputs, channels[0], bias=False)
        self.basis = nn.Parameter(torch.randn(channels[0], _COARSEST, _COARSEST))
        self.widths = nn.ModuleDict(
            {
                str(stage): nn.Conv2d(before, here, 1, bias=False)
                for stage, (before, here) in enumerate(pairwise(channels), start=1)
                if before != here
            }
        )
        self.stages = nn.ModuleList(
            nn.Sequential(*(GroupedBlock(width, middle, cardinality, kernel) for _ in range(count)))
            for width, middle, cardinality, count in zip(
                channels, inner, groups, blocks, strict=True
            )
        )
        self.filter = LowPass()
        self.pixels = nn.Conv2d(channels[-1], image_shape[0], 1, bias=False)

    def forward(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Map:
        """Images, one per row of ``latent``."""
        if self.embedding is not None:
            if condition is None:
                raise ValueError("this generator is class-conditional: give one class per latent")
            latent = torch.cat([latent, self.embedding(condition)], dim=1)
        features = self.basis * self.scales(latent)[:, :, None, None]
        for index, stage in enumerate(self.stages):
            if str(index) in self.widths:
                features = self.widths[str(index)](features)
            features = stage(self.filter.enlarged(features) if index else features)
        images: Tensor = (self.pixels(features) + 1) / 2
        return images
