"""The alias-free StyleGAN3 generator (Karras et al. 2021), arranged for gradients in z.

StyleGAN-XL (Sauer et al. 2022) is the same network with a class's embedding of its own, and with
further layers where it was grown to a higher resolution.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, linear

from .stylegan2 import Map, Mapping, Style, StyledPixels, weights_channels_last

_SLOPE = 0.2
_EPSILON = 1e-8


class FourierFeatures(nn.Module):
    """Waves over the image plane, turned and moved as the style says, and mixed.

    wave_c(p) = sin(2 pi (f_c R . (p - t) + phase_c)), where four numbers from the style, divided
    by the length of the first two, are the cosine and sine of the rotation R and the translation t
    (section 3.2 of the paper).
    """

    def __init__(self, channels: int, style_dim: int, side: int) -> None:
        """``side`` of the maps; ``positions`` are the coordinates of a row's or column's pixels."""
        super().__init__()
        self.placement = nn.Linear(style_dim, 4)
        self.frequencies = nn.Parameter(torch.randn(channels, 2))
        self.phases = nn.Parameter(torch.rand(channels))
        self.positions = nn.Parameter(torch.linspace(-1, 1, side))
        self.weight = nn.Parameter(torch.randn(channels, channels) / channels**0.5)

    def forward(self, style: Style) -> Float[Tensor, "batch channels side side"]:
        """The maps that the layers begin with."""
        placement = self.placement(style)
        placement = placement / placement[:, :2].norm(dim=1, keepdim=True)
        cosine, sine, right, below = placement[:, :, None].unbind(1)
        along, down = self.frequencies.unbind(1)
        columns = (self.positions - right)[:, :, None] * (along * cosine + down * sine)[:, None]
        rows = (self.positions - below)[:, :, None] * (down * cosine - along * sine)[:, None]
        waves = ((2 * pi) * (rows[:, :, None] + (columns + self.phases)[:, None])).sin()
        return linear(waves, self.weight).permute(0, 3, 1, 2)


@dataclass(frozen=True)
class LayerSettings:
    """The sizes of a layer, and how it samples.

    ``kernel`` is the side of its convolution's kernel. A filter of ``up_taps`` values makes what is
    sampled ``up`` times finer, of which ``cropped`` pixels are dropped on each side. After the
    leaky ReLU, a filter of ``down_taps`` values along each axis, or a square one if ``radial``,
    makes what is sampled ``down`` times coarser. ``clamp`` bounds the leaky ReLU.
    """

    inputs: int
    outputs: int
    kernel: int
    up: int
    up_taps: int
    cropped: int
    down: int
    down_taps: int
    radial: bool
    clamp: float | None

    def side(self, before: int) -> int:
        """The side of the maps that the layer returns, given maps of side ``before``."""
        filtered = (before + self.kernel - 2) * self.up + self.up_taps - 2 * self.cropped
        return (filtered - self.down_taps) // self.down + 1


class FilteredConvolution(nn.Module):
    """A styled convolution and a leaky ReLU between two filters, which keep it free of aliases.

    The convolution is scaled by the style as in StyleGAN2 and padded so that it enlarges the map.
    The leaky ReLU works at a higher resolution (section 3.2 of the paper). All maps are channels
    last in memory, where filtering every channel on its own is several times faster on a CPU.
    """

    def __init__(self, settings: LayerSettings, style_dim: int) -> None:
        super().__init__()
        self._settings = settings
        inputs, outputs, side = settings.inputs, settings.outputs, settings.kernel
        up, taps = settings.up_taps, settings.down_taps
        self.scales = nn.Linear(style_dim, inputs)
        kernel = torch.randn(outputs, inputs, side, side)
        self.weight = nn.Parameter(kernel / (side * inputs**0.5))
        self.energy = nn.Parameter(torch.ones(outputs, inputs) / inputs)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.up = nn.Parameter(torch.ones(up, 1) / up * settings.up)
        self.down = nn.Parameter(torch.ones(taps, taps if settings.radial else 1) / taps)

    def forward(
        self, features: Float[Tensor, "batch inputs before before"], style: Style
    ) -> Float[Tensor, "batch outputs side side"]:
        """The styled map."""
        scales = self.scales(style)
        back = (scales.square() @ self.energy.T + _EPSILON).rsqrt()[:, :, None, None]
        features = features * scales[:, :, None, None]
        features = conv2d(features, self.weight, padding=self._settings.kernel - 1)
        features = torch.addcmul(self.bias[:, None, None], features, back)
        fine = leaky_relu(self._finer(features), _SLOPE, inplace=True)
        clamp = self._settings.clamp
        if clamp is not None:
            fine = fine.clamp(-clamp, clamp)
        return self._coarser(fine)

    def _finer(
        self, features: Float[Tensor, "batch outputs height width"]
    ) -> Float[Tensor, "batch outputs fine fine"]:
        channels, factor, cropped = features.shape[1], self._settings.up, self._settings.cropped
        column = self.up.expand(channels, 1, -1, -1)
        wide = conv_transpose2d(
            features, column.mT, stride=(1, factor), padding=(0, cropped), groups=channels
        )
        return conv_transpose2d(
            wide, column, stride=(factor, 1), padding=(cropped, 0), groups=channels
        )

    def _coarser(
        self, fine: Float[Tensor, "batch outputs fine fine"]
    ) -> Float[Tensor, "batch outputs side side"]:
        channels, factor = fine.shape[1], self._settings.down
        kernel = self.down.expand(channels, 1, -1, -1)
        if self._settings.radial:
            return conv2d(fine, kernel, stride=factor, groups=channels)
        low = conv2d(fine, kernel, stride=(factor, 1), groups=channels)
        return conv2d(low, kernel.mT, stride=(1, factor), groups=channels)


class StyleGan3Generator(nn.Module):
    """Mapping network, Fourier features, filtered styled convolutions, one layer to pixels.

    Images are (x + 1) / 2 of the network's, and may leave [0, 1].
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        image_shape: Sequence[int],
        layers: Sequence[dict[str, Any]],
        first_side: int,
        style_dim: int,
        mapping_width: int,
        mapping_layers: int,
        embedding_dim: int,
        pixel_clamp: float | None,
    ) -> None:
        """``layers`` are the fields of `LayerSettings`; ``num_classes`` 0 is unconditional.

        ``first_side`` is the side of the Fourier features; ``pixel_clamp`` bounds the images.
        """
        super().__init__()
        settings = [LayerSettings(**layer) for layer in layers]
        side = first_side
        for layer in settings:
            side = layer.side(side)
        if tuple(image_shape[1:]) != (side, side):
            raise ValueError(f"the last layer is {side} pixels wide, not {image_shape}")
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.image_shape = (image_shape[0], side, side)
        self.mapping = Mapping(
            latent_dim, num_classes, style_dim, mapping_width, mapping_layers, embedding_dim
        )
        self.waves = FourierFeatures(settings[0].inputs, style_dim, first_side)
        self.layers = nn.ModuleList(FilteredConvolution(layer, style_dim) for layer in settings)
        self.pixels = StyledPixels(settings[-1].outputs, image_shape[0], style_dim, pixel_clamp)
        self.register_load_state_dict_post_hook(weights_channels_last)  # type: ignore[no-untyped-call]

    def forward(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Map:
        """Images, one per row of ``latent``."""
        style = self.mapping(latent, condition)
        features = self.waves(style)
        for layer in self.layers:
            features = layer(features, style)
        image: Tensor = self.pixels(features, style)
        return (image + 1) / 2
