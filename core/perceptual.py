"""LPIPS (Zhang et al. 2018) as a distance for inversion."""

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

# Below this the AlexNet backbone has no pixel left at its second pooling.
_SMALLEST_SIDE = 32
# What the lpips package adds to a norm before it divides by it.
_SMALLEST_NORM = 1e-10


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

    @torch.no_grad()
    def features(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch features"]:
        """A vector for each image: LPIPS is the squared l2 distance of two of them.

        LPIPS averages over each layer's H x W places the sum over channels of w (u - v)^2, where u
        and v are the activations with unit norm over the channels (Zhang et al. 2018, Eq. 1); so a
        layer's part of the vector is u sqrt(w / (H W)). The backbone must be an `lpips.LPIPS`.

        Raises:
            ValueError: if images have neither 1 nor 3 channels, or a weight w is negative.
        """
        backbone: Any = self._backbone
        parts = []
        for layer, head in zip(
            backbone.net(backbone.scaling_layer(_prepare(images))), backbone.lins, strict=True
        ):
            weight = head.model[-1].weight
            if bool((weight < 0).any()):
                raise ValueError("a channel's weight is negative: this LPIPS is not a distance")
            unit = layer / (layer.square().sum(1, keepdim=True).sqrt() + _SMALLEST_NORM)
            parts.append((unit * (weight / unit[0, 0].numel()).sqrt()).flatten(1))
        return torch.cat(parts, 1)


def _prepare(images: Tensor) -> Tensor:
    channels, height, width = images.shape[1:]
    if channels not in (1, 3):
        raise ValueError(f"LPIPS compares grey or colour images; these have {channels} channels")
    factor = math.ceil(_SMALLEST_SIDE / min(height, width))
    if factor > 1:
        images = torch.nn.functional.interpolate(images, scale_factor=factor, mode="bilinear")
    return 2 * images.expand(-1, 3, -1, -1) - 1
