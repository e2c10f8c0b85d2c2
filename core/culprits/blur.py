"""The culprit whose images are not sharp."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import conv2d, pad

from .culprit import Culprit

# The blur's standard deviation as a part of the shorter side: 1.4 pixels of 28.
_WIDTH = 0.05


def _blurred(
    images: Float[Tensor, "n channels height width"],
    labels: Int64[Tensor, " n"],
    seed: int,  # noqa: ARG001
) -> tuple[Float[Tensor, "n channels height width"], Int64[Tensor, " n"]]:
    """Every image under a Gaussian filter; beyond the edge its pixels are repeated."""
    deviation = _WIDTH * min(images.shape[2:])
    reach = max(1, round(3 * deviation))
    steps = torch.arange(-reach, reach + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (steps / deviation) ** 2)
    kernel = kernel / kernel.sum()
    channels = images.shape[1]
    padded = pad(images, (reach,) * 4, mode="replicate")
    for shape in ((1, 1, -1, 1), (1, 1, 1, -1)):
        weight = kernel.view(shape).repeat(channels, 1, 1, 1)
        padded = conv2d(padded, weight, groups=channels)
    return padded.clamp(0, 1), labels


BLUR = Culprit("blur", "makes images that are not sharp", _blurred)
