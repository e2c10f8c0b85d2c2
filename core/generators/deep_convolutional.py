"""The deep convolutional generator of DCGAN, with batch statistics fixed."""

from collections.abc import Sequence
from itertools import pairwise

from jaxtyping import Float, Int
from torch import Tensor, nn

_COARSEST = 4


def _enlarging(inputs: int, outputs: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1)


class DeepConvolutionalGenerator(nn.Module):
    """A linear layer to 4x4, transposed convolutions that double it, tanh (Radford et al. 2016).

    Classes, where there are any, are one-hot inputs of the linear layer beside the latent.
    Batch normalisation with fixed statistics is part of the weights that it follows.
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        image_shape: Sequence[int],
        channels: Sequence[int],
        rectified_start: bool,
        enlarging_output: bool,
    ) -> None:
        """``channels`` of the 4x4 map and of each map after it.

        ``rectified_start`` says whether a ReLU follows the linear layer, ``enlarging_output``
        whether the last layer doubles the resolution too, instead of a 3x3 convolution.
        """
        super().__init__()
        side = _COARSEST << (len(channels) - 1 + enlarging_output)
        if tuple(image_shape[1:]) != (side, side):
            raise ValueError(f"these layers make images of {side}x{side}, not {image_shape}")
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.image_shape = (image_shape[0], side, side)
        self._rectified_start = rectified_start
        self.start = nn.Linear(latent_dim, channels[0] * _COARSEST**2)
        # What a one-hot input adds is a column of the layer's weight.
        self.classes = (
            nn.Embedding(num_classes, channels[0] * _COARSEST**2) if num_classes else None
        )
        self.blocks = nn.ModuleList(
            _enlarging(inputs, outputs) for inputs, outputs in pairwise(channels)
        )
        last = (channels[-1], image_shape[0])
        self.pixels = _enlarging(*last) if enlarging_output else nn.Conv2d(*last, 3, padding=1)

    def forward(
        self,
        latent: Float[Tensor, "batch latent"],
        condition: Int[Tensor, " batch"] | None,
    ) -> Float[Tensor, "batch channels height width"]:
        """Images in [0, 1], one per row of ``latent``."""
        features = self.start(latent)
        if self.classes is not None:
            features = features + self.classes(condition)
        features = features.unflatten(1, (-1, _COARSEST, _COARSEST))
        if self._rectified_start:
            features = features.relu_()
        for block in self.blocks:
            features = block(features).relu_()
        images: Tensor = (self.pixels(features).tanh() + 1) / 2
        return images
