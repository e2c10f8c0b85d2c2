"""A folder of the user's images: PNG, JPEG or .npy; subfolders are classes, known by their names.

Nothing outside the folder is read: links that lead out of it are refused. Nothing is decoded, and
no memory taken for pixels, before a file's header has the one shape that is wanted.
"""

import math
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .image_set import (
    DatasetError,
    ImageError,
    IndexedImages,
    Shape,
    require_index,
)
from .picture import PICTURES, read_picture, require_image_shape, require_size
from .resized import Resizing, change, picture_digest

SUFFIXES = (*PICTURES, ".npy")
NEEDS_SHAPE = "image set 'folder' needs the image_shape that its files must have"
# What a file may hold besides its pixels (profiles, text, previews), and what a pixel's value may
# take: eight bytes in a .npy, less in a picture.
_BYTES_BESIDES = 16 * 2**20
_BYTES_PER_VALUE = 8


class FolderImages(IndexedImages):
    """Image files of one shape, or resized to it; a misfit is an ImageError."""

    name = "folder"

    def __init__(
        self,
        folder: Path,
        split: str,
        image_shape: Shape,
        files: list[Path],
        classes: list[str],
        resizing: Resizing | None = None,
    ) -> None:
        """``files`` are relative to ``folder``; ``classes`` are its subfolders in order, if any."""
        self.split = split
        self.image_shape = image_shape
        self.num_classes = len(classes)
        self.class_names = tuple(classes) or None
        self.length: int | None = len(files)
        self._folder = folder
        self._files = files
        self._classes = classes
        self._resizing = resizing

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        require_index(index, self.length)
        file = self._path(self._files[index])
        try:
            self._require_ordinary(file)
            image = (
                self._array(file)
                if file.suffix.lower() == ".npy"
                else read_picture(file, str(file), self.image_shape, self._resizing)
            )
        except OSError as error:
            raise ImageError(f"{file} cannot be read: {error}") from error
        return image, self._label(index)

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        if not self._classes:
            return None
        return np.array([self._label(index) for index in range(len(self._files))], dtype=np.int64)

    def source(self, index: int) -> str:
        """See ImageSet."""
        require_index(index, self.length)
        file = self._folder / self._files[index]
        return f"{self.name}:{file.as_posix()}{change(self._resizing)}"

    def hash(self) -> str:
        """See ImageSet."""
        digest = picture_digest(self.image_shape, self._resizing)
        for file in self._files:
            try:
                path = self._path(file)
                self._require_ordinary(path)
                content = path.read_bytes()
            except (OSError, ImageError):
                # Such a file is one failed image of the audit; mending it changes the hash.
                content = b"unreadable"
            digest.update(f"{file.as_posix()} {len(content)} ".encode() + content)
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """See ImageSet; of the files' names and sizes, so of none that keeps its size."""
        digest = picture_digest(self.image_shape, self._resizing)
        for file in self._files:
            digest.update(f"{file.as_posix()} {self._version(file)} ".encode())
        return digest.hexdigest()

    def _version(self, file: Path) -> str:
        """What tells a file's content from others without reading it."""
        try:
            return str((self._folder / file).stat().st_size)
        except OSError:
            return "unreadable"

    def _path(self, file: Path) -> Path:
        """Where one of the files is on this machine."""
        return self._folder / file

    def _label(self, index: int) -> int | None:
        return self._classes.index(self._files[index].parts[0]) if self._classes else None

    def _require_ordinary(self, file: Path) -> None:
        """Raises ImageError for what leads out of the folder, is no file, or is far too large."""
        _require_inside(self._folder, file, ImageError)
        found = file.stat()
        # Opening a pipe would wait for its writer.
        if not stat.S_ISREG(found.st_mode):
            raise ImageError(f"{file} is not a file")
        self._require_size(str(file), found.st_size)

    def _require_size(self, file: str, size: int) -> None:
        most = math.prod(self.image_shape) * _BYTES_PER_VALUE + _BYTES_BESIDES
        require_size(file, size, most, self.image_shape, self._resizing)

    def _array(self, file: Path) -> NDArray[np.float32]:
        try:
            # Mapped, so that the memory a header asks for is not taken before it is judged.
            array = np.lib.format.open_memmap(file, mode="r")
        except (ValueError, EOFError) as error:
            raise ImageError(f"{file} is not a whole .npy array: {error}") from error
        if array.dtype.kind != "f":
            raise ImageError(
                f"{file} must hold floats in [0, 1] as [channels, height, width], not {array.dtype}"
            )
        if self._resizing is None:
            require_image_shape(str(file), array.shape, self.image_shape)
        elif array.ndim != 3 or array.shape[0] not in (1, self.image_shape[0]) or 0 in array.shape:
            raise ImageError(
                f"{file} has shape {array.shape}, expected [channels, height, width] with 1 or "
                f"{self.image_shape[0]} channels"
            )
        if not np.isfinite(array).all():
            raise ImageError(
                f"{file} has {int((~np.isfinite(array)).sum())} values that are NaN or infinite"
            )
        if array.min() < 0 or array.max() > 1:
            raise ImageError(
                f"{file} has values from {array.min():.3g} to {array.max():.3g}, not [0, 1]"
            )
        image = np.array(array, dtype=np.float32)
        return image if self._resizing is None else self._resizing(str(file), image)


def open_folder(
    split: str,
    path: Path | None,
    image_shape: Shape | None,
    seed: int,
    resizing: Resizing | None = None,
) -> FolderImages:
    """The images in a folder in sorted order: unlabelled, or one subfolder for each class.

    A ``split`` names a subfolder to open in place of the folder itself.
    """
    del seed
    if path is None:
        raise DatasetError("image set 'folder' needs a path: the folder that holds the images")
    if image_shape is None:
        raise DatasetError(NEEDS_SHAPE)
    folder = path / split
    if Path(split).is_absolute() or ".." in Path(split).parts:
        raise DatasetError(f"split {split!r} leads out of {path}: name a folder inside it")
    if not folder.is_dir():
        raise DatasetError(
            f"there is no folder {folder}: name one with {', '.join(SUFFIXES)} files"
        )
    classes = sorted(entry.name for entry in os.scandir(folder) if _is_class(folder, entry))
    files = _images_in(folder, folder)
    in_classes = [file for name in classes for file in _images_in(folder, folder / name)]
    require_one_layout(str(folder), classes, files, in_classes)
    relative = [file.relative_to(folder) for file in in_classes or files]
    return FolderImages(folder, split, image_shape, relative, classes, resizing)


def require_one_layout(
    folder: str, classes: Sequence[str], files: Sequence[object], in_classes: Sequence[object]
) -> None:
    """Raises DatasetError for images beside and in subfolders, or for none at all."""
    if classes and files:
        raise DatasetError(
            f"{folder} has images both beside and inside its subfolders: put them all into "
            f"subfolders, one for each class, or all directly into the folder"
        )
    if not in_classes and not files:
        raise DatasetError(f"{folder} holds no image files: expected {', '.join(SUFFIXES)}")


def _is_class(folder: Path, entry: os.DirEntry[str]) -> bool:
    if entry.name.startswith(".") or not entry.is_dir():
        return False
    if entry.is_symlink():
        _require_inside(folder, Path(entry.path), DatasetError)
    return True


def _images_in(root: Path, folder: Path) -> list[Path]:
    """The image files of ``folder``, sorted; DatasetError for a link out of ``root``."""
    files = []
    with os.scandir(folder) as entries:
        for entry in entries:
            file = folder / entry.name
            if file.suffix.lower() not in SUFFIXES:
                continue
            if entry.is_symlink():
                _require_inside(root, file, DatasetError)
            files.append(file)
    return sorted(files)


def _require_inside(root: Path, file: Path, refusal: type[DatasetError | ImageError]) -> None:
    """Raises ``refusal`` where a link leads out of ``root``."""
    # Unlike Path.resolve, this takes a link that leads to itself for what it is: unreadable.
    target = Path(os.path.realpath(file))
    if not target.is_relative_to(os.path.realpath(root)):
        raise refusal(
            f"{file} is a link that leads out of {root}, to {target}: put the file itself, or a "
            f"hard link, into the folder"
        )
