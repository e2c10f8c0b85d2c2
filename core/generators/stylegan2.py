"""The StyleGAN2 generator with constant noise (Karras et al. 2020), arranged for gradients in z."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu

from .low_pass import LowPass

_COARSEST = 4
_SLOPE = 0.2
_EPSILON = 1e-8

Map = Float[Tensor, "batch channels height width"]
Style = Float[Tensor, "batch style"]


class Mapping(nn.Module):
    """From a latent, normalised to mean square 1, and a class to a style, by dense layers."""

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        style_dim: int,
        width: int,
        layers: int,
        embedding_dim: int,
    ) -> None:
        """``layers`` dense ones, of ``width`` outputs all but the last."""
        super().__init__()
        self.embedding = nn.Embedding(num_classes, embedding_dim) if num_classes else None
        inputs = latent_dim + (embedding_dim if num_classes else 0)
        widths = [inputs, *[width] * (layers - 1), style_dim]
        self.layers = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(widths))

    def forward(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Style:
        """The style; its density over the latent's radius is flat, for only direction counts."""
        style = latent * (latent.square().mean(dim=1, keepdim=True) + _EPSILON).rsqrt()
        if self.embedding is not None:
            if condition is None:
                raise ValueError("this generator is class-conditional: give one class per latent")
            style = torch.cat([style, self.embedding(condition)], dim=1)
        for layer in self.layers:
            style = leaky_relu(layer(style), _SLOPE)
        return style


class StyledConvolution(nn.Module):
    """A convolution whose inputs the style scales and whose outputs are scaled back to variance 1.

    With s = A w + b the style's scales, y_o = d_o sum_i W_oi * (s_i x_i), and
    d_o = (sum_i s_i^2 E_oi + 1e-8)^-1/2, where E_oi is the energy of the published kernel. Scaling
    maps and not kernels leaves one convolution for the batch, and no gradient in any kernel.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        style_dim: int,
        side: int,
        enlarge: bool,
        clamp: float | None,
    ) -> None:
        """``side`` of the result; ``clamp`` bounds its absolute values."""
        super().__init__()
        self._clamp = clamp
        self.filter = LowPass() if enlarge else None
        self.scales = nn.Linear(style_dim, inputs)
        pair = (inputs, outputs) if enlarge else (outputs, inputs)
        self.weight = nn.Parameter(torch.randn(*pair, 3, 3) / (3 * inputs**0.5))
        self.energy = nn.Parameter(torch.ones(outputs, inputs) / inputs)
        self.noise = nn.Parameter(torch.zeros(side, side))
        self.bias = nn.Parameter(torch.zeros(outputs))

    def forward(
        self, features: Float[Tensor, "batch inputs height width"], style: Style
    ) -> Float[Tensor, "batch outputs side side"]:
        """The styled map, at twice the resolution where the layer enlarges."""
        scales = self.scales(style)
        back = (scales.square() @ self.energy.T + _EPSILON).rsqrt()[:, :, None, None]
        features = features * scales[:, :, None, None]
        if self.filter is not None:
            features = self.filter.smoothed(conv_transpose2d(features, self.weight, stride=2))
        else:
            features = conv2d(features, self.weight, padding=1)
        features = torch.addcmul(self.bias[:, None, None], features, back).add_(self.noise)
        features = leaky_relu(features, _SLOPE, inplace=True)
        return features if self._clamp is None else features.clamp(-self._clamp, self._clamp)


class StyledPixels(nn.Module):
    """A 1x1 convolution to pixels whose inputs the style scales."""

    def __init__(self, inputs: int, colours: int, style_dim: int, clamp: float | None) -> None:
        super().__init__()
        self._clamp = clamp
        self.scales = nn.Linear(style_dim, inputs)
        self.weight = nn.Parameter(torch.randn(colours, inputs, 1, 1) / inputs**0.5)
        self.bias = nn.Parameter(torch.zeros(colours))

    def forward(
        self, features: Float[Tensor, "batch inputs height width"], style: Style
    ) -> Float[Tensor, "batch colours height width"]:
        """What this resolution adds to the image."""
        scaled = features * self.scales(style)[:, :, None, None]
        pixels = conv2d(scaled, self.weight, self.bias)
        return pixels if self._clamp is None else pixels.clamp(-self._clamp, self._clamp)


class StyleGan2Generator(nn.Module):
    """Mapping network, then styled convolutions from a learned 4x4 map, summing images (skip).

    Images are (x + 1) / 2 of the network's, and may leave [0, 1].
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        image_shape: Sequence[int],
        channels: Sequence[int],
        style_dim: int,
        mapping_width: int,
        mapping_layers: int,
        embedding_dim: int,
        clamp: float | None,
    ) -> None:
        """``channels`` of the maps at 4x4, 8x8 and so on; ``num_classes`` 0 is unconditional."""
        super().__init__()
        side = _COARSEST << (len(channels) - 1)
        if tuple(image_shape[1:]) != (side, side):
            raise ValueError(f"{len(channels)} resolutions make {side}x{side}, not {image_shape}")
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.image_shape = (image_shape[0], side, side)
        self.mapping = Mapping(
            latent_dim, num_classes, style_dim, mapping_width, mapping_layers, embedding_dim
        )
        self.constant = nn.Parameter(torch.randn(channels[0], _COARSEST, _COARSEST))
        self.enlarging = nn.ModuleList(
            StyledConvolution(inputs, outputs, style_dim, 2 * _COARSEST << index, True, clamp)
            for index, (inputs, outputs) in enumerate(pairwise(channels))
        )
        self.refining = nn.ModuleList(
            StyledConvolution(width, width, style_dim, _COARSEST << index, False, clamp)
            for index, width in enumerate(channels)
        )
        self.pixels = nn.ModuleList(
            StyledPixels(width, image_shape[0], style_dim, clamp) for width in channels
        )
        self.filter = LowPass()
        self.register_load_state_dict_post_hook(weights_channels_last)  # type: ignore[no-untyped-call]

    def forward(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Map:
        """Images, one per row of ``latent``."""
        style = self.mapping(latent, condition)
        features = self.constant.permute(1, 2, 0).expand(len(latent), -1, -1, -1)
        # Channels last in memory: filtering every channel on its own is several times faster so.
        features = features.contiguous().permute(0, 3, 1, 2)
        image: Tensor | None = None
        for index, (refine, pixels) in enumerate(zip(self.refining, self.pixels, strict=True)):
            if index:
                features = self.enlarging[index - 1](features, style)
            features = refine(features, style)
            here = pixels(features, style)
            image = here if image is None else here.add_(self.filter.enlarged(image))
        if image is None:
            raise ValueError("this generator has no resolution")
        return (image + 1) / 2


def weights_channels_last(module: nn.Module, _: object) -> None:
    """Orders loaded kernels in memory as the maps are, which saves a copy in every call."""
    for parameter in module.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.contiguous(memory_format=torch.channels_last)
