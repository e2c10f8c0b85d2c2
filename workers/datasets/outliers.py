"""Images that no generator of anything should find likely: one colour, and natural texture."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .image_set import DatasetError, IndexedImages, Shape, describe_shape, require_index

# A patch at full resolution would be nearly flat; four times coarser it shows edges and texture.
_PATCH_REDUCTION = 4


class DrawnImages(IndexedImages):
    """An endless unlabelled set: image ``index`` depends on the seed and the index alone."""

    num_classes = 0
    length: int | None = None
    split = ""

    def __init__(self, name: str, image_shape: Shape, seed: int) -> None:
        self.name = name
        self.image_shape = image_shape
        self._seed = seed

    def draw(self, random: np.random.Generator) -> NDArray[np.float32]:
        """One image [C, H, W] in [0, 1]."""
        raise NotImplementedError

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        require_index(index, self.length)
        return self.draw(np.random.default_rng([self._seed, index])), None

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return None

    def source(self, index: int) -> str:
        """See ImageSet."""
        return f"{self.name}:seed{self._seed}:{index}"

    def hash(self) -> str:
        """See ImageSet."""
        content = f"{self.name} {describe_shape(self.image_shape)} seed {self._seed}"
        return hashlib.sha256(content.encode() + self._material()).hexdigest()

    def _material(self) -> bytes:
        return b""


class SingleColourImages(DrawnImages):
    """Every pixel has the same colour, each channel uniform on the 8-bit levels."""

    def draw(self, random: np.random.Generator) -> NDArray[np.float32]:
        """See DrawnImages."""
        channels, height, width = self.image_shape
        levels = random.integers(0, 256, size=(channels, 1, 1)).astype(np.float32)
        return np.broadcast_to(levels / np.float32(255), (channels, height, width)).copy()


class NaturalPatches(DrawnImages):
    """Patches of photographs [C, H, W], each at a random place of one of them."""

    def __init__(
        self, name: str, image_shape: Shape, seed: int, photographs: list[NDArray[np.float32]]
    ) -> None:
        super().__init__(name, image_shape, seed)
        self._photographs = photographs

    def draw(self, random: np.random.Generator) -> NDArray[np.float32]:
        """See DrawnImages."""
        photograph = self._photographs[random.integers(len(self._photographs))]
        _, height, width = self.image_shape
        top = random.integers(photograph.shape[1] - height + 1)
        left = random.integers(photograph.shape[2] - width + 1)
        return photograph[:, top : top + height, left : left + width].copy()

    def _material(self) -> bytes:
        return b"".join(photograph.tobytes() for photograph in self._photographs)


def open_single_colour(
    split: str, path: Path | None, image_shape: Shape | None, seed: int
) -> SingleColourImages:
    """Images of one random grey or colour at the wanted shape."""
    shape = _require_drawn("single_colour", split, path, image_shape)
    return SingleColourImages("single_colour", shape, seed)


def open_natural_patches(
    split: str, path: Path | None, image_shape: Shape | None, seed: int
) -> NaturalPatches:
    """Patches of scikit-learn's two photographs, four times coarser where they are large enough.

    One channel is their luma (ITU-R BT.601), three their colours, rounded to 8 bits.
    """
    from sklearn.datasets import load_sample_images

    shape = _require_drawn("natural_patches", split, path, image_shape)
    channels, height, width = shape
    if channels not in (1, 3):
        raise DatasetError(f"natural_patches has 1 or 3 channels, but {channels} are needed")
    photographs = load_sample_images().images
    rows, columns, _ = photographs[0].shape
    reduction = min(_PATCH_REDUCTION, rows // height, columns // width)
    if reduction < 1:
        raise DatasetError(
            f"natural_patches comes from photographs of {rows}x{columns} pixels; images of "
            f"{height}x{width} do not fit. Use 'folder' with photographs of your own"
        )
    reduced = [_reduce(photograph, reduction, channels) for photograph in photographs]
    return NaturalPatches("natural_patches", shape, seed, reduced)


def _reduce(photograph: NDArray[np.uint8], reduction: int, channels: int) -> NDArray[np.float32]:
    """The photograph [H, W, 3] as [C, H, W] in [0, 1], averaged over blocks of pixels."""
    rows, columns = (size // reduction for size in photograph.shape[:2])
    whole = photograph[: rows * reduction, : columns * reduction].astype(np.float64)
    blocks = whole.reshape(rows, reduction, columns, reduction, 3).mean(axis=(1, 3))
    if channels == 1:
        blocks = blocks @ np.array([[0.299], [0.587], [0.114]])
    levels: NDArray[np.float32] = np.round(blocks).transpose(2, 0, 1).astype(np.float32)
    return levels / np.float32(255)


def _require_drawn(name: str, split: str, path: Path | None, image_shape: Shape | None) -> Shape:
    if split or path:
        raise DatasetError(f"image set '{name}' is drawn at random: it takes no split and no path")
    if image_shape is None:
        raise DatasetError(f"image set '{name}' needs an image_shape")
    return image_shape
