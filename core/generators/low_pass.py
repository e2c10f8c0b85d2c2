"""The low-pass filter [1, 3, 3, 1] around which StyleGAN2 and its successors enlarge maps."""

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d

# At the gain that enlarging by two needs.
_TAPS = (0.25, 0.75, 0.75, 0.25)


def smoothed(
    features: Float[Tensor, "batch channels wide wide"],
) -> Float[Tensor, "batch channels wide-1 wide-1"]:
    """What a transposed convolution of stride 2 has enlarged, filtered along both axes."""
    return conv2d(features, _kernel(features), padding=1, groups=features.shape[1])


def enlarged(
    image: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "batch channels 2*height 2*width"]:
    """A map at twice the size: zeros between its values, then the filter along both axes."""
    return conv_transpose2d(image, _kernel(image), stride=2, padding=1, groups=image.shape[1])


def _kernel(
    features: Float[Tensor, "batch channels height width"],
) -> Float[Tensor, "channels 1 4 4"]:
    """The filter along both axes, for each channel on its own."""
    taps = features.new_tensor(_TAPS)
    return taps.outer(taps).expand(features.shape[1], 1, -1, -1)
