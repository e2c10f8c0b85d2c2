"""Another size for an image set: rescaled outliers, or data at a generator's resolution."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .image_set import (
    DatasetError,
    ImageSet,
    IndexedImages,
    Shape,
    UnfitError,
    describe_shape,
)

METHODS = ("lanczos",)


@dataclass(frozen=True)
class Resizing:
    """To ``shape`` by Lanczos, of the central square of ``crop`` pixels where one is named."""

    shape: Shape
    crop: int | None = None

    def __call__(self, name: str, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """The image [C, H, W] in [0, 1] at that shape; see `resize`.

        Raises:
            UnfitError: it is smaller than the crop; ``name`` is what the message calls it.
        """
        if self.crop is not None:
            height, width = image.shape[1:]
            require_crop(name, height, width, self.crop)
            top, left = (height - self.crop) // 2, (width - self.crop) // 2
            image = image[:, top : top + self.crop, left : left + self.crop]
        return resize(image, self.shape)

    def __str__(self) -> str:
        """As a hash and a source have it."""
        crop = "" if self.crop is None else f"crop {self.crop}, "
        return f"{crop}lanczos {describe_shape(self.shape)}"


def require_crop(name: str, height: int, width: int, crop: int) -> None:
    """Raises UnfitError for an image that is smaller than the square to be cut out of it."""
    if min(height, width) < crop:
        raise UnfitError(
            f"{name} has {height}x{width} pixels, fewer than crop {crop}; choose a smaller crop, "
            "or remove the file"
        )


class ResizedImages(IndexedImages):
    """The images of another set, cropped to the wanted aspect about their centre and resized."""

    def __init__(self, images: ImageSet, resizing: Resizing) -> None:
        """``images`` have one channel, which is repeated as needed, or as many as wanted."""
        image_shape = resizing.shape
        if images.image_shape[0] not in (1, image_shape[0]):
            raise DatasetError(
                f"image set '{images.name}' has {images.image_shape[0]} channels, but "
                f"{image_shape[0]} are needed: resizing changes sizes, not colours"
            )
        crop, side = resizing.crop, min(images.image_shape[1:])
        if crop is not None and crop > side:
            raise DatasetError(
                f"image set '{images.name}' has images of {describe_shape(images.image_shape)}, "
                f"smaller than crop {crop}; choose a crop of at most {side}"
            )
        self.name = images.name
        self.split = images.split
        self.num_classes = images.num_classes
        self.class_names = images.class_names
        self.account = images.account
        self.image_shape = image_shape
        self.length = images.length
        self._images = images
        self._resizing = resizing

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return self._images.labels()

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        pixels, label = self._images.image(index)
        return self._resizing(self._images.source(index), pixels), label

    def source(self, index: int) -> str:
        """See ImageSet."""
        return f"{self._images.source(index)}, {self._resizing}"

    def hash(self) -> str:
        """See ImageSet."""
        return self._with_resizing(self._images.hash())

    def fingerprint(self) -> str:
        """See ImageSet."""
        return self._with_resizing(self._images.fingerprint())

    def _with_resizing(self, digest: str) -> str:
        return hashlib.sha256(f"{digest} {self._resizing}".encode()).hexdigest()


def resize(image: NDArray[np.float32], shape: Shape) -> NDArray[np.float32]:
    """An image [C, H, W] in [0, 1] at another shape, by Pillow's Lanczos filter in float32.

    What exceeds the wanted aspect is cropped evenly from both sides. The filter widens with the
    reduction, so that nothing aliases (Parmar et al. 2022, "On Aliased Resizing"), and its
    overshoot is clipped to [0, 1].
    """
    channels, height, width = shape
    old_height, old_width = image.shape[1:]
    scale = min(old_height / height, old_width / width)
    kept_height, kept_width = round(scale * height), round(scale * width)
    top, left = (old_height - kept_height) // 2, (old_width - kept_width) // 2
    # Cut first: the filter would look beyond the edges of a mere box.
    kept = image[:, top : top + kept_height, left : left + kept_width]
    resized = np.stack(
        [
            np.asarray(
                Image.fromarray(np.ascontiguousarray(channel)).resize(
                    (width, height), Image.Resampling.LANCZOS
                )
            )
            for channel in kept
        ]
    )
    return np.broadcast_to(resized.clip(0, 1), (channels, height, width)).astype(np.float32)
