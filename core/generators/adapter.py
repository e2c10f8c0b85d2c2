"""Makes any torch module a generator that can be audited."""

import math

from jaxtyping import Float, Int
from torch import Tensor, nn, promote_types

from .latent_prior import LatentPrior
from .native_range import NativeRangeError, missing


class ImagesError(ValueError):
    """What a module returned is not the images that it was said to make."""


class ModuleGenerator(nn.Module):
    """Wraps a module that maps latents to images in some native range.

    The module is called as ``module(latent)``, or as ``module(latent, condition)`` where
    ``num_classes`` is not 0, with flat latents [N, latent_dim] and class indices [N]. It is put
    into evaluation mode and its weights are frozen, in place. Fix any noise inputs inside it: a
    generator must give the same image for the same latent. What it returns has the shape [N,
    *image_shape]; or it is flat rows of pixels [N, channels * height * width] in that order, or
    grey images without their one channel.
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        latent_dim: int,
        num_classes: int,
        image_shape: tuple[int, int, int],
        native_range: tuple[int | float, int | float] | None = None,
        latent_prior: LatentPrior | None = None,
    ) -> None:
        """Says what the module maps from and to.

        ``native_range`` is what black and white are in the module's own output, which must be
        said: it is None only where that was forgotten. ``latent_prior`` is the distribution of its
        latents where that is not N(0, I) (`latent_prior.uniform` and the like). Latents of the
        wrapped generator are standard normal all the same.

        Raises:
            NativeRangeError: the range is missing, or not in ascending order.
        """
        super().__init__()
        if native_range is None:
            raise NativeRangeError(missing("native_range=(-1, 1)"))
        low, high = native_range
        if not low < high:
            raise NativeRangeError(
                f"native_range must be (black, white) in ascending order: {low}, {high}"
            )
        self.module = module.eval().requires_grad_(False)
        self.latent_dim = latent_dim
        self.num_classes = num_classes
        self.image_shape = image_shape
        self.native_range = float(low), float(high)
        self.latent_prior = latent_prior
        self._low = low
        self._span = high - low

    def forward(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch channels height width"]:
        """Images in [0, 1], one per row of ``latent``; unbounded modules may leave it a little.

        They are of the latent's dtype where the module's own are of a finer one. Coarser ones stay
        what they are, since what they have lost no cast brings back.

        Raises:
            ImagesError: the module returned no float tensor, or one of another shape.
        """
        own = latent if self.latent_prior is None else self.latent_prior(latent)
        native = self.module(own, condition) if self.num_classes else self.module(own)
        self._require_images(native, len(latent))
        images: Tensor = (native - self._low) / self._span
        if promote_types(images.dtype, latent.dtype) == images.dtype:
            images = images.to(latent.dtype)
        return images.reshape(len(latent), *self.image_shape)

    def _require_images(self, native: object, count: int) -> None:
        if not isinstance(native, Tensor):
            raise ImagesError(
                f"must return a float tensor, not {type(native).__name__}: return its images alone"
            )
        if not native.is_floating_point():
            raise ImagesError(
                f"must return a float tensor, not {native.dtype}: return its images as they are "
                "before they are rounded, from black to white as native_range says"
            )
        channels, height, width = self.image_shape
        found = tuple(native.shape[1:])
        wanted = [self.image_shape, (math.prod(self.image_shape),)]
        if channels == 1:
            wanted.append((height, width))
        if len(native) == count and found in wanted:
            return
        remedy = ""
        if found == (height, width, channels):
            remedy = "; channels come first: return images.permute(0, 3, 1, 2)"
        elif found == (channels, width, height):
            remedy = "; image_shape is (channels, height, width)"
        raise ImagesError(
            f"returned images of shape {list(native.shape)} for {count} latents, but its "
            f"image_shape says {[count, *self.image_shape]}{remedy}"
        )
