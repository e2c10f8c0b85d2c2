"""What becomes of an image in [0, 1] before a network sees it: size, channels, range, mean."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import interpolate


@dataclass(frozen=True)
class Preprocessing:
    """Resized to ``size``, as ``channels``, from ``black`` to ``white``, (x - mean) / deviation.

    ``size`` is (height, width), None for images as they are. ``interpolation`` is bilinear or
    bicubic, both with antialiasing where images shrink and cut off at [0, 1], or nearest. Grey
    images are repeated where three ``channels`` are asked for. ``mean`` and ``deviation`` are one
    number a channel on the scale from ``black`` to ``white``; empty for none.
    """

    size: tuple[int, int] | None
    interpolation: str
    channels: int
    black: float
    white: float
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    def __call__(
        self, images: Float[Tensor, "n channels height width"]
    ) -> Float[Tensor, "n seen_channels seen_height seen_width"]:
        """Images in [0, 1] as the network takes them.

        Raises:
            ValueError: the images have neither as many channels nor one.
        """
        seen = images
        if self.size is not None and tuple(images.shape[-2:]) != self.size:
            seen = self._resized(images)
        if seen.shape[1] != self.channels:
            if seen.shape[1] != 1:
                raise ValueError(
                    f"images of {seen.shape[1]} channels, where the network takes {self.channels}; "
                    "only grey ones are repeated"
                )
            seen = seen.expand(-1, self.channels, -1, -1)
        seen = self.black + (self.white - self.black) * seen
        if self.mean:
            mean, deviation = (
                torch.tensor(values, dtype=seen.dtype, device=seen.device).view(1, -1, 1, 1)
                for values in (self.mean, self.deviation)
            )
            seen = (seen - mean) / deviation
        return seen

    def _resized(self, images: Tensor) -> Tensor:
        assert self.size is not None, "asked for only where there is a size"
        if self.interpolation == "nearest":
            return interpolate(images, size=self.size, mode="nearest-exact")
        resized = interpolate(
            images, size=self.size, mode=self.interpolation, align_corners=False, antialias=True
        )
        return resized.clamp(0, 1)
