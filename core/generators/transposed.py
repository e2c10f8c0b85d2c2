"""Generators of transposed convolutions of any size and stride: ALI's and Improved-GAN's."""

from collections.abc import Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from .latent_prior import uniform

_COARSEST = 4


class TransposedGenerator(nn.Module):
    """Linear layers to 4x4, transposed convolutions, each with a leaky ReLU; at last tanh.

    Batch normalisation with fixed statistics is part of the weights. The last convolution's offset
    may be different at each place.
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        image_shape: Sequence[int],
        widths: Sequence[int],
        convolutions: Sequence[Sequence[int]],
        leak: float,
        uniform_latent: bool,
    ) -> None:
        """``widths`` of the linear layers' outputs, the last the channels of the 4x4 map.

        ``convolutions`` are [outputs, side, stride, padding, output padding] in torch's terms, the
        last one that to the pixels. ``uniform_latent`` draws the network's own latents uniformly
        between 0 and 1, as Phi of the standard normal ones. Unconditional.
        """
        super().__init__()
        if num_classes:
            raise ValueError(f"this generator is unconditional: {num_classes} classes")
        self.latent_dim = latent_dim
        self.num_classes = 0
        self.image_shape = (image_shape[0], image_shape[1], image_shape[2])
        self._leak = leak
        self._prior = uniform(0.0, 1.0) if uniform_latent else None
        sizes = [latent_dim, *widths[:-1], widths[-1] * _COARSEST**2]
        self.start = nn.ModuleList(nn.Linear(*pair) for pair in pairwise(sizes))
        channels = [widths[-1], *(outputs for outputs, *_ in convolutions)]
        last = len(convolutions) - 1
        layers = [
            nn.ConvTranspose2d(inputs, outputs, side, stride, padding, further, bias=index < last)
            for index, (inputs, (outputs, side, stride, padding, further)) in enumerate(
                zip(channels[:-1], convolutions, strict=True)
            )
        ]
        self.blocks, self.pixels = nn.ModuleList(layers[:-1]), layers[-1]
        self.offset = nn.Parameter(torch.zeros(self.image_shape))

    def forward(
        self,
        latent: Float[Tensor, "batch latent"],
        condition: Int[Tensor, " batch"] | None,  # noqa: ARG002
    ) -> Float[Tensor, "batch channels height width"]:
        """Images in [0, 1], one per row of ``latent``."""
        features = latent if self._prior is None else self._prior(latent)
        for layer in self.start:
            features = leaky_relu(layer(features), self._leak)
        features = features.unflatten(1, (-1, _COARSEST, _COARSEST))
        for block in self.blocks:
            features = leaky_relu(block(features), self._leak)
        native = (self.pixels(features) + self.offset).tanh()
        images: Tensor = (native + 1) / 2
        return images
