"""The StyleGAN2 variant of lucidrains' stylegan2-pytorch, its noise fixed: bilinear enlarging."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, pad

from .stylegan2 import Map, Mapping, StyledConvolution, StyledPixels, weights_channels_last

_COARSEST = 4


class BilinearStyleGan2Generator(nn.Module):
    """Mapping network, then styled convolutions from a 4x4 map, summing images (skip).

    Unlike StyleGAN2's, maps and images are enlarged bilinearly, maps before their convolution, and
    images blurred after. Images are the network's own, and may leave [0, 1].
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        image_shape: Sequence[int],
        channels: Sequence[int],
        style_dim: int,
        mapping_layers: int,
    ) -> None:
        """``channels`` of the constant map, then of those at 4x4, 8x8 and so on; no classes.

        Raises:
            ValueError: it should have classes, or images of another size than its maps.
        """
        super().__init__()
        side = _COARSEST << (len(channels) - 2)
        if num_classes or tuple(image_shape[1:]) != (side, side):
            raise ValueError(
                f"{len(channels) - 1} resolutions make {side}x{side} images without classes, not "
                f"{image_shape} with {num_classes}"
            )
        self.latent_dim, self.num_classes = latent_dim, num_classes
        self.image_shape = (image_shape[0], side, side)
        self.mapping = Mapping(latent_dim, 0, style_dim, style_dim, mapping_layers, 0)
        self.constant = nn.Parameter(torch.randn(channels[0], _COARSEST, _COARSEST))
        self.first = nn.ModuleList(
            StyledConvolution(inputs, outputs, style_dim, _COARSEST << index, False, None)
            for index, (inputs, outputs) in enumerate(pairwise(channels))
        )
        self.second = nn.ModuleList(
            StyledConvolution(width, width, style_dim, _COARSEST << index, False, None)
            for index, width in enumerate(channels[1:])
        )
        self.pixels = nn.ModuleList(
            StyledPixels(width, image_shape[0], style_dim, None) for width in channels[1:]
        )
        self.register_load_state_dict_post_hook(weights_channels_last)  # type: ignore[no-untyped-call]

    def forward(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Map:
        """Images, one per row of ``latent``."""
        style = self.mapping(latent, condition)
        features = self.constant.expand(len(latent), -1, -1, -1)
        image: Tensor | None = None
        layers = zip(self.first, self.second, self.pixels, strict=True)
        for index, (first, second, pixels) in enumerate(layers):
            if index:
                features = _twice(features)
            features = second(first(features, style), style)
            here = pixels(features, style)
            image = here if image is None else here + _blurred(_twice(image))
        if image is None:
            raise ValueError("this generator has no resolution")
        return image


def _twice(
    features: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels 2*height 2*width"]:
    return interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)


def _blurred(image: Map) -> Map:
    """Filtered by [1, 2, 1] / 4 along both axes, mirrored at the borders."""
    taps = image.new_tensor([0.25, 0.5, 0.25])
    kernel = taps.outer(taps).expand(image.shape[1], 1, -1, -1)
    return conv2d(pad(image, (1, 1, 1, 1), "reflect"), kernel, groups=image.shape[1])
