"""The residual generator of BigGAN and its relatives, with batch statistics fixed."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import interpolate, one_hot

from .attention import SelfAttention

_COARSEST = 4

Map = Float[Tensor, "batch channels height width"]
Style = Float[Tensor, "batch style"]


class ChannelAffine(nn.Module):
    """Scale and shift of every channel: what batch normalisation is once its statistics are fixed.

    Both are affine in a style vector, or constants where ``style_dim`` is 0.
    """

    def __init__(self, style_dim: int, channels: int) -> None:
        super().__init__()
        self.weight: nn.Parameter | None = None
        if style_dim:
            self.weight = nn.Parameter(0.02 * torch.randn(2 * channels, style_dim))
        self.bias = nn.Parameter(torch.zeros(2 * channels))
        nn.init.ones_(self.bias[:channels])

    def forward(self, features: Map, style: Style | None) -> Map:
        """ReLU(features * scale + shift)."""
        both = self.bias[None]
        if self.weight is not None and style is not None:
            both = nn.functional.linear(style, self.weight, self.bias)
        scale, shift = both[:, :, None, None].chunk(2, dim=1)
        return torch.addcmul(shift, features, scale).relu_()


class ResidualBlock(nn.Module):
    """Doubles the resolution: normalise, ReLU, convolve, twice, beside a 1x1 shortcut."""

    def __init__(self, inputs: int, outputs: int, style_dim: int) -> None:
        super().__init__()
        self.first_affine = ChannelAffine(style_dim, inputs)
        self.enlarge = nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)
        self.second_affine = ChannelAffine(style_dim, outputs)
        self.refine = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(
        self, features: Float[Tensor, "batch inputs height width"], style: Style | None
    ) -> Float[Tensor, "batch outputs 2*height 2*width"]:
        """The map at twice the resolution."""
        residual = self.enlarge(self.first_affine(features, style))
        residual = self.refine(self.second_affine(residual, style))
        # A 1x1 convolution commutes with repeating pixels, and is four times cheaper before it.
        enlarged: Tensor = residual + interpolate(self.shortcut(features), scale_factor=2)
        return enlarged


class ResidualGenerator(nn.Module):
    """A linear layer to 4x4, residual blocks that double it, tanh (Brock et al. 2019, appendix B).

    Blocks are styled by the class (one-hot, or a learned embedding) and, where the latent is
    hierarchical, each by a chunk of the latent of its own. There are no batch statistics: they are
    part of the weights, so that an image never depends on its neighbours.
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        image_shape: Sequence[int],
        channels: Sequence[int],
        hierarchical: bool,
        embedding_dim: int,
        attention_after: Sequence[int],
    ) -> None:
        """``channels`` of the 4x4 map and of the output of every block.

        ``num_classes`` 0 is unconditional; ``embedding_dim`` 0 gives the class one-hot.
        ``attention_after`` counts blocks from 0.
        """
        super().__init__()
        blocks = len(channels) - 1
        side = _COARSEST << blocks
        if tuple(image_shape[1:]) != (side, side):
            raise ValueError(f"{blocks} blocks make images of {side}x{side}, not {image_shape}")
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.image_shape = (image_shape[0], side, side)
        self._chunk = latent_dim // (blocks + 1) if hierarchical else latent_dim
        self._one_hot = bool(num_classes) and not embedding_dim
        if num_classes and embedding_dim:
            self.embedding = nn.Embedding(num_classes, embedding_dim)
        style_dim = embedding_dim if num_classes and embedding_dim else num_classes
        style_dim += self._chunk if hierarchical else 0
        self.start = nn.Linear(self._chunk, channels[0] * _COARSEST**2)
        self.blocks = nn.ModuleList(
            ResidualBlock(inputs, outputs, style_dim) for inputs, outputs in pairwise(channels)
        )
        self.attention = nn.ModuleDict(
            {str(block): SelfAttention(channels[block + 1]) for block in attention_after}
        )
        self.last_affine = ChannelAffine(0, channels[-1])
        self.pixels = nn.Conv2d(channels[-1], image_shape[0], 3, padding=1)

    def forward(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Map:
        """Images in [0, 1], one per row of ``latent``."""
        first, *rest = latent.split(self._chunk, dim=1)
        of_class = self._class_vector(latent, condition)
        features = self.start(first).unflatten(1, (-1, _COARSEST, _COARSEST))
        for index, block in enumerate(self.blocks):
            parts = [part for part in (of_class, *rest[index : index + 1]) if part is not None]
            features = block(features, torch.cat(parts, dim=1) if parts else None)
            if str(index) in self.attention:
                features = self.attention[str(index)](features)
        native = self.pixels(self.last_affine(features, None)).tanh()
        images: Tensor = (native + 1) / 2
        return images

    def _class_vector(self, latent: Tensor, condition: Tensor | None) -> Style | None:
        if not self.num_classes:
            return None
        if condition is None:
            raise ValueError("this generator is class-conditional: give one class per latent")
        if self._one_hot:
            return one_hot(condition, self.num_classes).to(latent.dtype)
        vectors: Tensor = self.embedding(condition)
        return vectors
