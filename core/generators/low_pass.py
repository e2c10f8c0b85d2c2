"""The low-pass filter [1, 3, 3, 1] around which StyleGAN2 and its successors enlarge maps."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import conv2d, conv_transpose2d

# At the gain that enlarging by two needs.
_TAPS = (0.25, 0.75, 0.75, 0.25)


class LowPass(nn.Module):
    """The filter along both axes of every channel on its own, where the module is.

    Made anew it would be copied to a GPU in every call. No file holds it, so that it begins on the
    CPU, also where the module is built without memory.
    """

    def __init__(self) -> None:
        super().__init__()
        taps = torch.tensor(_TAPS, device="cpu")
        self.register_buffer("kernel", taps.outer(taps), persistent=False)
        self.kernel: Tensor

    def smoothed(
        self, features: Float[Tensor, "batch channels wide wide"]
    ) -> Float[Tensor, "batch channels wide-1 wide-1"]:
        """What a transposed convolution of stride 2 has enlarged, filtered."""
        channels = features.shape[1]
        return conv2d(features, self._of_each(channels), padding=1, groups=channels)

    def enlarged(
        self, image: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels 2*height 2*width"]:
        """A map at twice the size: zeros between its values, then the filter."""
        channels = image.shape[1]
        kernel = self._of_each(channels)
        return conv_transpose2d(image, kernel, stride=2, padding=1, groups=channels)

    def _of_each(self, channels: int) -> Float[Tensor, "channels 1 4 4"]:
        return self.kernel.expand(channels, 1, -1, -1)
