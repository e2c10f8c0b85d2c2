"""Non-overlapping 8x8 patches of images, and how much the pixels in them vary."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

PATCH_SIDE = 8


@dataclass(frozen=True)
class PatchGrid:
    """The whole patches that fit an image, centred: what is left over at the edges is cropped.

    ``top`` and ``left`` are the pixels cropped above and to the left; an odd pixel more is cropped
    below and to the right.
    """

    rows: int
    columns: int
    top: int
    left: int
    covered: float

    @property
    def patches(self) -> int:
        """Patches in an image."""
        return self.rows * self.columns


def patch_grid(height: int, width: int) -> PatchGrid:
    """The grid of 8x8 patches of an image; ``covered`` is the share of its pixels inside.

    Raises:
        ValueError: an image without room for one patch.
    """
    if min(height, width) < PATCH_SIDE:
        raise ValueError(
            f"images are {height} x {width} pixels, a patch is {PATCH_SIDE} x {PATCH_SIDE}"
        )
    rows, columns = height // PATCH_SIDE, width // PATCH_SIDE
    inside = rows * columns * PATCH_SIDE**2
    return PatchGrid(
        rows,
        columns,
        (height - rows * PATCH_SIDE) // 2,
        (width - columns * PATCH_SIDE) // 2,
        inside / (height * width),
    )


def extract_patches(
    images: Float[np.ndarray, "images channels height width"],
) -> Float64[np.ndarray, "images patches channels pixels"]:
    """Every image's patches, row by row; pixels of a patch are row by row too.

    Raises:
        ValueError: images without room for one patch.
    """
    count, channels, height, width = images.shape
    grid = patch_grid(height, width)
    inner = images[
        :,
        :,
        grid.top : grid.top + grid.rows * PATCH_SIDE,
        grid.left : grid.left + grid.columns * PATCH_SIDE,
    ].astype(np.float64)
    split = inner.reshape(count, channels, grid.rows, PATCH_SIDE, grid.columns, PATCH_SIDE)
    ordered = split.transpose(0, 2, 4, 1, 3, 5)
    patches: np.ndarray = ordered.reshape(count, grid.patches, channels, PATCH_SIDE**2)
    return patches


def local_variation(
    images: Float[np.ndarray, "images channels height width"], mean_floor: float
) -> Float64[np.ndarray, " images"]:
    """Mean over 8x8 patches of standard deviation / mean: the coefficient of variation [IP Fig. 7].

    Of images in [0, 1]. Each channel of a patch counts as a patch, so that an image of a single
    colour has none. A mean below ``mean_floor`` is taken as ``mean_floor``: the ratio has no limit
    where a patch is black. The standard deviation is that of the patch's pixels, over n.

    Raises:
        ValueError: images without room for one patch, or a floor that is not positive.
    """
    if mean_floor <= 0:
        raise ValueError(f"mean_floor is {mean_floor}, expected a positive number")
    patches = extract_patches(images)
    ratio = patches.std(axis=-1) / np.maximum(patches.mean(axis=-1), mean_floor)
    variation: np.ndarray = ratio.mean(axis=(1, 2))
    return variation
