"""Images in a zip archive, such as StyleGAN's ``dataset.zip``.

They are read from the archive itself; nothing is extracted, so no name in it can lead anywhere.
"""

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..npz_file import ZIP_DAMAGE
from .image_set import DatasetError, ImageError, Shape
from .listed_images import LabelList, ListedImages, find_images
from .picture_rule import Alpha, PictureRule
from .resized import Resizing


class ZipPlace:
    """The files of an archive, or of one folder in it; see `Place`."""

    def __init__(self, path: Path, folder: str) -> None:
        """``folder`` is empty, or the name of one in the archive.

        Raises:
            DatasetError: a file is there twice with different contents, or the folder is not.
            BadZipFile: it is no archive.
            OSError: it cannot be read.
        """
        self._path = path
        self._above = f"{folder.strip('/')}/" if folder.strip("/") else ""
        self._archive: zipfile.ZipFile | None = None
        self._members = dict(_members(path, self._opened(), self._above))
        if self._above and not self._members:
            raise DatasetError(f"{path} has no folder {folder!r}")

    @property
    def address(self) -> str:
        """See Place."""
        return f"{self._path}, {self._above}" if self._above else str(self._path)

    def names(self) -> Iterator[str]:
        """See Place."""
        return iter(self._members)

    def locate(self, name: str) -> str:
        """See Place."""
        return f"{self._path}, {self._above}{name}"

    def origin(self, name: str) -> str:
        """See Place."""
        return f"{self._path.as_posix()}:{self._above}{name}"

    def size(self, name: str) -> int:
        """See Place."""
        return self._members[name].file_size

    def version(self, name: str) -> str:
        """See Place; the archive has a checksum of each file."""
        member = self._members[name]
        return f"{member.file_size} {member.CRC}"

    def read(self, name: str) -> bytes:
        """See Place."""
        try:
            return self._opened().read(self._members[name])
        except ZIP_DAMAGE as error:
            raise ImageError(f"{self.locate(name)} is damaged or encrypted: {error}") from error

    def prepare(self, names: Iterable[str]) -> None:
        """See Place."""

    def _opened(self) -> zipfile.ZipFile:
        # Kept open: its directory takes seconds to read where there are millions of pictures.
        self._archive = self._archive or zipfile.ZipFile(self._path)
        return self._archive

    def __getstate__(self) -> dict[str, object]:
        """Without the open file, which belongs to this process."""
        return {**self.__dict__, "_archive": None}


def open_zip(
    split: str,
    path: Path | None,
    image_shape: Shape | None,
    seed: int,
    resizing: Resizing | None = None,
    alpha: Alpha | None = None,
    listed: LabelList | None = None,
) -> ListedImages:
    """The images of a zip archive in the order of their names.

    A ``split`` names a folder in it to open in place of the whole.
    """
    del seed
    if path is None or image_shape is None:
        raise DatasetError("image set 'zip' needs a path, the archive, and an image_shape")
    try:
        place = ZipPlace(path, split)
    except DatasetError:
        raise
    except ZIP_DAMAGE as error:
        raise DatasetError(
            f"{path} is not a whole zip archive ({error}); fetch it again"
        ) from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    return ListedImages(
        "zip", split, place, find_images(place, listed), PictureRule(image_shape, resizing, alpha)
    )


def _members(
    path: Path, archive: zipfile.ZipFile, above: str
) -> Iterator[tuple[str, zipfile.ZipInfo]]:
    """Every member below a folder, once; with slashes, which not every archiver writes."""
    seen: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.replace("\\", "/")
        first = seen.setdefault(name, member)
        if (first.file_size, first.CRC) != (member.file_size, member.CRC):
            raise DatasetError(
                f"{path} holds {name} twice, with different contents: remove one (`zip -d` removes "
                "both), or make the archive again"
            )
        if first is member and name != above and name.startswith(above):
            yield name.removeprefix(above), member
