"""LPIPS (Zhang et al. 2018) as a distance for inversion."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

# Below this the AlexNet backbone has no pixel left at its second pooling.
_SMALLEST_SIDE = 32


class LpipsDistance:
    """Wraps an LPIPS module: takes images in [0, 1], grey ones repeated to three channels.

    Images with a side below 32 are enlarged bilinearly by the smallest whole factor that makes it
    at least 32: the AlexNet backbone needs 31 pixels, and LPIPS was calibrated on patches of 64.
    Distances of enlarged images compare with each other, not with published LPIPS numbers.
    """

    def __init__(self, backbone: torch.nn.Module) -> None:
        """Takes the caller's module.

        Args:
            backbone: called as ``backbone(a, b)`` with images [N, 3, H, W] in [-1, 1]; one distance
                for each pair, in any shape with N entries. The `lpips` package's ``LPIPS`` is one.
                Its parameters are frozen and it is set to evaluation mode.
        """
        self._backbone = backbone.eval().requires_grad_(False)

    def __call__(
        self,
        a: Float[Tensor, "batch channels height width"],
        b: Float[Tensor, "batch channels height width"],
    ) -> Float[Tensor, " batch"]:
        """The LPIPS distance of each pair.

        Raises:
            ValueError: if images have neither 1 nor 3 channels.
        """
        distances: Tensor = self._backbone(_prepare(a), _prepare(b))
        return distances.flatten()


def _prepare(images: Tensor) -> Tensor:
    channels, height, width = images.shape[1:]
    if channels not in (1, 3):
        raise ValueError(f"LPIPS compares grey or colour images; these have {channels} channels")
    factor = math.ceil(_SMALLEST_SIDE / min(height, width))
    if factor > 1:
        images = torch.nn.functional.interpolate(images, scale_factor=factor, mode="bilinear")
    return 2 * images.expand(-1, 3, -1, -1) - 1
