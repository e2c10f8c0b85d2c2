"""A small class-conditional convolutional generator that is cheap to differentiate on a CPU."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import silu

from .conditioning import ClassModulatedLinear


class ConvolutionalGenerator(nn.Module):
    """Class-modulated dense layers to a quarter-size map, then two upsampling convolutions.

    Both 3x3 convolutions work at the lower of their two resolutions and double it by rearranging
    channels into space (Shi et al. 2016, sub-pixel convolution): at a given cost this affords more
    channels than convolving the enlarged map. There is no normalisation over the batch, so an
    image never depends on its neighbours.
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        image_shape: Sequence[int],
        width: int,
        coarse_channels: int,
        fine_channels: int,
    ) -> None:
        """Height and width must be multiples of 4; ``num_classes`` 0 is unconditional.

        ``width`` counts the dense hidden units, ``coarse_channels`` and ``fine_channels`` those of
        the quarter-size and the half-size feature map.
        """
        super().__init__()
        channels, height, columns = image_shape
        if height % 4 or columns % 4:
            raise ValueError(
                f"the convolutional generator doubles its resolution twice, so height and width "
                f"must be multiples of 4: {height}x{columns} is not"
            )
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.image_shape = (channels, height, columns)
        self._coarse_shape = (coarse_channels, height // 4, columns // 4)
        self.first = ClassModulatedLinear(latent_dim, width, num_classes)
        self.second = ClassModulatedLinear(width, width, num_classes)
        self.spread = nn.Linear(width, coarse_channels * (height // 4) * (columns // 4))
        self.coarse = nn.Conv2d(coarse_channels, 4 * fine_channels, kernel_size=3, padding=1)
        self.fine = nn.Conv2d(fine_channels, 4 * channels, kernel_size=3, padding=1)
        self.enlarge = nn.PixelShuffle(2)

    def forward(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch channels height width"]:
        """Images in [0, 1], one per row of ``latent``."""
        features = self.second(self.first(latent, condition), condition)
        coarse = silu(self.spread(features)).view(-1, *self._coarse_shape)
        fine = silu(self.enlarge(self.coarse(coarse)))
        images: Tensor = self.enlarge(self.fine(fine)).sigmoid()
        return images
