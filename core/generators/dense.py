"""A class-conditional multilayer perceptron, for images of a few dozen pixels."""

from collections.abc import Sequence
from math import prod

from jaxtyping import Float, Int
from torch import Tensor, nn

from .conditioning import ClassModulatedLinear


class DenseGenerator(nn.Module):
    """Class-modulated hidden layers, then one linear layer and a sigmoid to pixels in [0, 1]."""

    def __init__(
        self, latent_dim: int, num_classes: int, image_shape: Sequence[int], width: int, depth: int
    ) -> None:
        """``depth`` hidden layers of ``width`` units; ``num_classes`` 0 is unconditional."""
        super().__init__()
        channels, height, columns = image_shape
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.image_shape = (channels, height, columns)
        self.hidden = nn.ModuleList(
            ClassModulatedLinear(width if layer else latent_dim, width, num_classes)
            for layer in range(depth)
        )
        self.pixels = nn.Linear(width, prod(self.image_shape))

    def forward(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch channels height width"]:
        """Images in [0, 1], one per row of ``latent``."""
        features = latent
        for layer in self.hidden:
            features = layer(features, condition)
        images: Tensor = self.pixels(features).sigmoid()
        return images.view(-1, *self.image_shape)
