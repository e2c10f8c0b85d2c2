"""The culprit whose images are not sharp."""

from jaxtyping import Float, Int64
from torch import Tensor
from torchvision.transforms.functional import gaussian_blur

from .culprit import Culprit

# The blur's standard deviation as a part of the shorter side: 1.4 pixels of 28.
_WIDTH = 0.05


def _blurred(
    images: Float[Tensor, "n channels height width"],
    labels: Int64[Tensor, " n"],
    seed: int,  # noqa: ARG001
) -> tuple[Float[Tensor, "n channels height width"], Int64[Tensor, " n"]]:
    """Every image under a Gaussian filter; beyond the edge it is mirrored."""
    deviation = _WIDTH * min(images.shape[2:])
    reach = max(1, min(round(3 * deviation), min(images.shape[2:]) - 1))
    blurred: Tensor = gaussian_blur(images, 2 * reach + 1, deviation)
    return blurred.clamp(0, 1), labels


BLUR = Culprit("blur", "makes images that are not sharp", _blurred)
