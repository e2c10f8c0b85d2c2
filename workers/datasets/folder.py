"""A folder of the user's images: PNG, JPEG or .npy; subfolders are classes."""

import hashlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from .image_set import (
    DatasetError,
    ImageError,
    IndexedImages,
    Shape,
    describe_shape,
    require_index,
)

_PICTURES = (".png", ".jpg", ".jpeg")
_SUFFIXES = (*_PICTURES, ".npy")
_MODES = {1: ("L",), 3: ("RGB", "P")}


class FolderImages(IndexedImages):
    """Image files of one shape; nothing is resized or converted, a misfit is an ImageError."""

    name = "folder"

    def __init__(
        self, folder: Path, split: str, image_shape: Shape, files: list[Path], classes: list[str]
    ) -> None:
        """``files`` are relative to ``folder``; ``classes`` are its subfolders in order, if any."""
        self.split = split
        self.image_shape = image_shape
        self.num_classes = len(classes)
        self.length: int | None = len(files)
        self._folder = folder
        self._files = files
        self._classes = classes

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        require_index(index, self.length)
        file = self._folder / self._files[index]
        try:
            image = _read_array(file) if file.suffix.lower() == ".npy" else self._picture(file)
        except OSError as error:
            raise ImageError(f"{file} cannot be read: {error}") from error
        self._require_shape(file, image.shape)
        return image, self._label(index)

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        if not self._classes:
            return None
        return np.array([self._label(index) for index in range(len(self._files))], dtype=np.int64)

    def source(self, index: int) -> str:
        """See ImageSet."""
        require_index(index, self.length)
        return f"folder:{(self._folder / self._files[index]).as_posix()}"

    def hash(self) -> str:
        """See ImageSet."""
        digest = hashlib.sha256(describe_shape(self.image_shape).encode())
        for file in self._files:
            try:
                content = (self._folder / file).read_bytes()
            except OSError:
                # Such a file is one failed image of the audit; mending it changes the hash.
                content = b"unreadable"
            digest.update(f"{file.as_posix()} {len(content)} ".encode() + content)
        return digest.hexdigest()

    def _label(self, index: int) -> int | None:
        return self._classes.index(self._files[index].parts[0]) if self._classes else None

    def _require_shape(self, file: Path, shape: tuple[int, ...]) -> None:
        if shape != self.image_shape:
            raise ImageError(
                f"{file} has shape {describe_shape(shape)}, but the audit needs "
                f"{describe_shape(self.image_shape)} (channels, height, width); resize it, nothing "
                f"is resized here"
            )

    def _require_mode(self, file: Path, mode: str) -> None:
        channels = self.image_shape[0]
        if mode not in _MODES.get(channels, ()):
            raise ImageError(
                f"{file} has mode {mode}, but {channels} channel(s) of 8 bits are needed; convert "
                f"it to {'greyscale' if channels == 1 else 'RGB'}, or save it as .npy"
            )

    def _picture(self, file: Path) -> NDArray[np.float32]:
        channels = self.image_shape[0]
        try:
            with Image.open(file) as picture:
                # Judged by the header, so that a misfit of any size is never decoded.
                self._require_mode(file, picture.mode)
                self._require_shape(file, (channels, picture.height, picture.width))
                pixels = np.asarray(picture.convert("L" if channels == 1 else "RGB"))
        except UnidentifiedImageError as error:
            raise ImageError(f"{file} is not a PNG or JPEG image, or is damaged") from error
        except Image.DecompressionBombError as error:
            raise ImageError(f"{file} is too large to be decoded: {error}") from error
        except ImageError:
            raise
        except (OSError, SyntaxError, ValueError) as error:
            raise ImageError(f"{file} is damaged: {error}") from error
        return np.atleast_3d(pixels).transpose(2, 0, 1).astype(np.float32) / np.float32(255)


def _read_array(file: Path) -> NDArray[np.float32]:
    try:
        array = np.load(file, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ImageError(f"{file} is not a whole .npy array: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind != "f":
        raise ImageError(
            f"{file} must hold floats in [0, 1] as [channels, height, width], not "
            f"{array.dtype if isinstance(array, np.ndarray) else type(array).__name__}"
        )
    if not np.isfinite(array).all():
        raise ImageError(
            f"{file} has {int((~np.isfinite(array)).sum())} values that are NaN or infinite"
        )
    if array.size and (array.min() < 0 or array.max() > 1):
        raise ImageError(
            f"{file} has values from {array.min():.3g} to {array.max():.3g}, not [0, 1]"
        )
    return array.astype(np.float32)


def open_folder(
    split: str, path: Path | None, image_shape: Shape | None, seed: int
) -> FolderImages:
    """The images in a folder in sorted order: unlabelled, or one subfolder for each class.

    A ``split`` names a subfolder to open in place of the folder itself.
    """
    del seed
    if path is None:
        raise DatasetError("image set 'folder' needs a path: the folder that holds the images")
    if image_shape is None:
        raise DatasetError("image set 'folder' needs the image_shape that its files must have")
    folder = path / split
    if not folder.is_dir():
        raise DatasetError(
            f"there is no folder {folder}: name one with {', '.join(_SUFFIXES)} files"
        )
    classes = sorted(entry.name for entry in folder.iterdir() if _is_class(entry))
    files = _images_in(folder)
    if classes and files:
        raise DatasetError(
            f"{folder} has images both beside and inside its subfolders: put them all into "
            f"subfolders, one for each class, or all directly into the folder"
        )
    found = [file for name in classes for file in _images_in(folder / name)] or files
    if not found:
        raise DatasetError(f"{folder} holds no image files: expected {', '.join(_SUFFIXES)}")
    relative = [file.relative_to(folder) for file in found]
    return FolderImages(folder, split, image_shape, relative, classes)


def _is_class(entry: Path) -> bool:
    return entry.is_dir() and not entry.name.startswith(".")


def _images_in(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.suffix.lower() in _SUFFIXES)
