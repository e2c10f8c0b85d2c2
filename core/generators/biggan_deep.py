"""BigGAN-deep (Brock et al. 2019, appendix B), with batch statistics fixed."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import interpolate

from .attention import SelfAttention
from .latent_prior import truncated_normal
from .residual import ChannelAffine

_COARSEST = 4
_REDUCTION = 4
# The published latents are standard normal entries truncated to [-2, 2], times the truncation.
_BOUND = 2.0

Map = Float[Tensor, "batch channels height width"]
Style = Float[Tensor, "batch style"]


class BottleneckBlock(nn.Module):
    """1x1, 3x3, 3x3 and 1x1 convolutions at a quarter of the channels, beside a shortcut.

    The shortcut is a 1x1 convolution, or else the identity, which drops channels where the block
    has fewer outputs than inputs. Where the block enlarges, its first 3x3 convolution is a
    transposed one, and the shortcut repeats its values.
    """

    def __init__(
        self, inputs: int, outputs: int, style_dim: int, enlarge: bool, convolved_shortcut: bool
    ) -> None:
        super().__init__()
        middle = inputs // _REDUCTION
        self._outputs, self._enlarge = outputs, enlarge
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if convolved_shortcut else None
        self.affines = nn.ModuleList(
            ChannelAffine(style_dim, channels) for channels in (inputs, middle, middle, middle)
        )
        self.convolutions = nn.ModuleList(
            [
                nn.Conv2d(inputs, middle, 1),
                nn.ConvTranspose2d(middle, middle, 4, stride=2, padding=1)
                if enlarge
                else nn.Conv2d(middle, middle, 3, padding=1),
                nn.Conv2d(middle, middle, 3, padding=1),
                nn.Conv2d(middle, outputs, 1),
            ]
        )

    def forward(
        self, features: Float[Tensor, "batch inputs height width"], style: Style
    ) -> Float[Tensor, "batch outputs tall wide"]:
        """The map, at twice the resolution where the block enlarges."""
        residual = features
        for affine, convolution in zip(self.affines, self.convolutions, strict=True):
            residual = convolution(affine(residual, style))
        kept = self.shortcut(features) if self.shortcut else features[:, : self._outputs]
        added: Tensor = residual + (interpolate(kept, scale_factor=2) if self._enlarge else kept)
        return added


class BigGanDeepGenerator(nn.Module):
    """Bottleneck blocks styled by the latent and the class's embedding.

    Latents are u ~ N(0, I). With a truncation the network's own are truncation * z(u) with z
    truncated to [-2, 2] (see `latent_prior.truncated_normal`), so that nothing in the latent is
    bounded; without one they are u.
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        image_shape: Sequence[int],
        channels: Sequence[int],
        enlarging: Sequence[bool],
        attention_before: Sequence[int],
        truncation: float | None,
        convolved_shortcuts: bool,
    ) -> None:
        """``channels`` of the 4x4 map and of the output of every block, ``enlarging`` or not.

        ``attention_before`` counts blocks from 0. ``convolved_shortcuts`` are those of
        `BottleneckBlock`.
        """
        super().__init__()
        side = _COARSEST << sum(enlarging)
        if tuple(image_shape[1:]) != (side, side):
            raise ValueError(f"these blocks make images of {side}x{side}, not {image_shape}")
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.image_shape = (image_shape[0], side, side)
        self._truncation = truncation
        self._truncated = truncated_normal(_BOUND)
        style_dim = 2 * latent_dim
        self.embedding = nn.Embedding(num_classes, latent_dim)
        self.start = nn.Linear(style_dim, channels[0] * _COARSEST**2)
        self.blocks = nn.ModuleList(
            BottleneckBlock(inputs, outputs, style_dim, enlarge, convolved_shortcuts)
            for (inputs, outputs), enlarge in zip(pairwise(channels), enlarging, strict=True)
        )
        self.attention = nn.ModuleDict(
            {str(block): SelfAttention(channels[block]) for block in attention_before}
        )
        self.last_affine = ChannelAffine(0, channels[-1])
        self.pixels = nn.Conv2d(channels[-1], image_shape[0], 3, padding=1)

    def forward(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Map:
        """Images in [0, 1], one per row of ``latent``."""
        if condition is None:
            raise ValueError("this generator is class-conditional: give one class per latent")
        own = latent
        if self._truncation is not None:
            own = self._truncation * self._truncated(latent)
        style = torch.cat([own, self.embedding(condition)], dim=1)
        features = self.start(style).unflatten(1, (-1, _COARSEST, _COARSEST))
        for index, block in enumerate(self.blocks):
            if str(index) in self.attention:
                features = self.attention[str(index)](features)
            features = block(features, style)
        images: Tensor = (self.pixels(self.last_affine(features, None)).tanh() + 1) / 2
        return images
