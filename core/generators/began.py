"""The generator of BEGAN (Berthelot et al. 2017): the decoder of its autoencoding discriminator."""

from collections.abc import Sequence

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.functional import elu

_COARSEST = 8


class BeganGenerator(nn.Module):
    """A linear layer to 8x8, pairs of 3x3 convolutions with ELU, doubled between the pairs.

    All maps have the same channels; nothing is normalised. Repeating the values of a map is part of
    the convolution that follows, which is a transposed one. An ELU follows the last convolution as
    well, so that images are above -1 and nothing bounds them from above.
    """

    def __init__(
        self,
        latent_dim: int,
        num_classes: int,
        image_shape: Sequence[int],
        channels: int,
    ) -> None:
        """``channels`` of every map; height and width are 8 times a power of 2; unconditional."""
        super().__init__()
        colours, side, _ = image_shape
        doublings = (side // _COARSEST).bit_length() - 1
        if tuple(image_shape[1:]) != (_COARSEST << doublings,) * 2 or num_classes:
            raise ValueError(
                "BEGAN makes unconditional square images of 8, 16, 32, ... pixels, not "
                f"{image_shape} with {num_classes} classes"
            )
        self.latent_dim = latent_dim
        self.num_classes = 0
        self.image_shape = (colours, side, side)
        self.start = nn.Linear(latent_dim, channels * _COARSEST**2)
        self.convolutions = nn.ModuleList([nn.Conv2d(channels, channels, 3, padding=1)])
        for _ in range(doublings):
            self.convolutions.append(nn.Conv2d(channels, channels, 3, padding=1))
            self.convolutions.append(nn.ConvTranspose2d(channels, channels, 4, 2, padding=1))
        self.convolutions.append(nn.Conv2d(channels, channels, 3, padding=1))
        self.pixels = nn.Conv2d(channels, colours, 3, padding=1)

    def forward(
        self,
        latent: Float[Tensor, "batch latent"],
        condition: Int[Tensor, " batch"] | None,  # noqa: ARG002
    ) -> Float[Tensor, "batch channels height width"]:
        """Images with black at 0 and white at 1, one per row of ``latent``; not clipped."""
        features = self.start(latent).unflatten(1, (-1, _COARSEST, _COARSEST))
        for convolution in self.convolutions:
            features = elu(convolution(features))
        return elu(self.pixels(features))
