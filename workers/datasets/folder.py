"""A folder of the user's images on a disk.

Nothing outside the folder is read: links that lead out of it are refused.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...cluster.regular_file import read_regular
from .image_set import DatasetError, ImageError, Shape
from .listed_images import LabelList, ListedImages, find_images
from .listing import SUFFIXES
from .picture_rule import Alpha, PictureRule
from .resized import Resizing

NEEDS_SHAPE = "image set 'folder' needs the image_shape that its files must have"


class FolderPlace:
    """The files of a folder and of all folders in it; see `Place`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def address(self) -> str:
        """See Place."""
        return str(self._folder)

    def names(self) -> Iterator[str]:
        """See Place; DatasetError for a link that leads out of the folder, or round in it."""
        return self._names("", ())

    def locate(self, name: str) -> str:
        """See Place."""
        return str(self._folder / name)

    def origin(self, name: str) -> str:
        """See Place."""
        return (self._folder / name).as_posix()

    def size(self, name: str) -> int:
        """See Place; ImageError for what leads out of the folder, or is no file."""
        file = self._folder / name
        _require_inside(self._folder, file, ImageError)
        found = file.stat()
        # Opening a pipe would wait for its writer.
        if not stat.S_ISREG(found.st_mode):
            raise ImageError(f"{file} is not a file")
        return found.st_size

    def version(self, name: str) -> str:
        """See Place; of a file on a disk only its size is known at once."""
        try:
            return str((self._folder / name).stat().st_size)
        except OSError:
            return "unreadable"

    def read(self, name: str) -> bytes:
        """See Place."""
        return read_regular(self._folder / name)

    def prepare(self, names: Iterable[str]) -> None:
        """See Place."""

    def _names(self, inside: str, above: tuple[str, ...]) -> Iterator[str]:
        here = self._folder / inside
        real = os.path.realpath(here)
        if real in above:
            raise DatasetError(f"{here} is a link to a folder that it is in: remove it")
        try:
            with os.scandir(here) as scan:
                entries = list(scan)
        except OSError as error:
            raise DatasetError(f"{here} cannot be read: {error.strerror}") from error
        for entry in entries:
            name = f"{inside}{entry.name}"
            if not _is_text(entry.name):
                raise DatasetError(
                    f"{self._folder} holds {name!a}, whose name is not UTF-8, so that no "
                    "table can hold it: rename it (`convmv -f latin1 -t utf8 -r --notest FOLDER` "
                    "renames all such)"
                )
            # Hidden folders, of versions or of notebooks, may be large, and none is read.
            if entry.name.startswith("."):
                yield name
                continue
            is_folder = _is_folder(entry)
            if entry.is_symlink() and (is_folder or entry.name.lower().endswith(SUFFIXES)):
                _require_inside(self._folder, Path(entry.path), DatasetError)
            if is_folder:
                yield f"{name}/"
                yield from self._names(f"{name}/", (*above, real))
            else:
                yield name


def open_folder(
    split: str,
    path: Path | None,
    image_shape: Shape | None,
    seed: int,
    resizing: Resizing | None = None,
    alpha: Alpha | None = None,
    listed: LabelList | None = None,
) -> ListedImages:
    """The images in a folder, and in folders in it, in sorted order.

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
    place = FolderPlace(folder)
    found = find_images(place, listed)
    return ListedImages("folder", split, place, found, PictureRule(image_shape, resizing, alpha))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        # A link that leads to itself, or to what the system refuses, is a file that is unreadable.
        return False


def _is_text(name: str) -> bool:
    # Python stands surrogates for bytes that are not UTF-8.
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require_inside(root: Path, file: Path, refusal: type[DatasetError | ImageError]) -> None:
    """Raises ``refusal`` where a link leads out of ``root``."""
    # Unlike Path.resolve, this takes a link that leads to itself for what it is: unreadable.
    target = Path(os.path.realpath(file))
    if not target.is_relative_to(os.path.realpath(root)):
        raise refusal(
            f"{file} is a link that leads out of {root}, to {target}: put the file itself, or a "
            f"hard link, into the folder"
        )
