"""StyleGAN's ``dataset.zip``: pictures in an archive, classes in its ``dataset.json`` or folders.

Pictures are read from the archive itself; nothing is extracted, so no name in it can lead anywhere.
"""

import hashlib
import json
import math
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ..npz_file import ZIP_DAMAGE
from .image_set import (
    DatasetError,
    ImageError,
    IndexedImages,
    Shape,
    require_index,
    require_split,
)
from .picture import PICTURES, read_picture, require_size
from .resized import Resizing, change, picture_digest

_LABELS = "dataset.json"
# Some 40 bytes a picture are what such a file takes; a list in it takes far more memory.
_LABEL_BYTES_PER_PICTURE = 2**10
_ALWAYS_LABEL_BYTES = 2**26
_BYTES_BESIDES = 2**20
_BYTES_PER_VALUE = 4


class ZipImages(IndexedImages):
    """Pictures of one shape, or resized to it, in a zip archive; a misfit is an ImageError."""

    name = "zip"
    split = ""

    def __init__(
        self,
        path: Path,
        image_shape: Shape,
        names: list[str],
        classes: NDArray[np.int64] | None,
        resizing: Resizing | None,
        class_names: tuple[str, ...] | None = None,
    ) -> None:
        """``names`` are the archive's pictures in order, ``classes`` [N] theirs, if it has any.

        ``class_names`` has the name of each class, where they are not numbers.
        """
        self.image_shape = image_shape
        self.num_classes = 0 if classes is None else int(classes.max()) + 1
        self.class_names = class_names
        self.length: int | None = len(names)
        self._path = path
        self._names = names
        self._classes = classes
        self._resizing = resizing
        self._archive: zipfile.ZipFile | None = None

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        require_index(index, self.length)
        name = f"{self._path}, {self._names[index]}"
        archive = self._opened()
        member = archive.getinfo(self._names[index])
        most = math.prod(self.image_shape) * _BYTES_PER_VALUE + _BYTES_BESIDES
        require_size(name, member.file_size, most, self.image_shape, self._resizing)
        try:
            with archive.open(member) as file:
                pixels = read_picture(file, name, self.image_shape, self._resizing)
        except ImageError:
            raise
        except ZIP_DAMAGE as error:
            raise ImageError(f"{name} is damaged or encrypted: {error}") from error
        return pixels, None if self._classes is None else int(self._classes[index])

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return self._classes

    def source(self, index: int) -> str:
        """See ImageSet."""
        require_index(index, self.length)
        return f"zip:{self._path.as_posix()}:{self._names[index]}{change(self._resizing)}"

    def hash(self) -> str:
        """See ImageSet."""
        digest = picture_digest(self.image_shape, self._resizing)
        with self._path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
        return digest.hexdigest()

    def fingerprint(self) -> str:
        """See ImageSet; of the pictures' names, sizes and checksums, and of the classes."""
        digest = picture_digest(self.image_shape, self._resizing)
        archive = self._opened()
        for name in self._names:
            member = archive.getinfo(name)
            digest.update(f"{name} {member.file_size} {member.CRC} ".encode())
        digest.update(b"" if self._classes is None else self._classes.tobytes())
        return digest.hexdigest()

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
) -> ZipImages:
    """The pictures of a zip archive as StyleGAN's ``dataset_tool.py`` writes it.

    In the order of their names. The classes are those of its ``dataset.json``,
    ``{"labels": [[name, class], ...]}``, whole numbers or names; with ``null`` there are none.
    Without the file, two or more folders that hold all the pictures are the classes.
    """
    del seed
    require_split("zip", split, ("",))
    if path is None or image_shape is None:
        raise DatasetError("image set 'zip' needs a path, the archive, and an image_shape")
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted(name for name in archive.namelist() if _is_picture(name))
            if not names:
                raise DatasetError(f"{path} holds no pictures: expected {', '.join(PICTURES)}")
            found = _labels(path, archive, names)
    except DatasetError:
        raise
    except ZIP_DAMAGE as error:
        raise DatasetError(
            f"{path} is not a whole zip archive ({error}); fetch it again"
        ) from error
    except OSError as error:
        raise DatasetError(f"{path} cannot be read: {error.strerror}") from error
    classes, class_names = (None, None) if found is None else _by_label(found)
    return ZipImages(path, image_shape, names, classes, resizing, class_names)


def _is_picture(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in PICTURES


def _by_label(found: Sequence[int | str]) -> tuple[NDArray[np.int64], tuple[str, ...] | None]:
    """The class of each picture, and the classes' names in order where they are not numbers."""
    if all(isinstance(label, int) for label in found):
        return np.array(found, dtype=np.int64), None
    names, classes = np.unique([str(label) for label in found], return_inverse=True)
    return classes.astype(np.int64), tuple(names.tolist())


def _folders(names: list[str]) -> list[str] | None:
    """The folder of each picture; None unless two or more beside each other hold all of them."""
    parents = [PurePosixPath(name).parent for name in names]
    if len(set(parents)) < 2 or len({parent.parent for parent in parents}) > 1:
        return None
    return None if PurePosixPath() in parents else [parent.name for parent in parents]


def _labels(
    path: Path, archive: zipfile.ZipFile, names: list[str]
) -> Sequence[int] | Sequence[str] | None:
    """The class of each picture as the archive has it, by number or by name."""
    if _LABELS not in archive.namelist():
        return _folders(names)
    most = max(_ALWAYS_LABEL_BYTES, _LABEL_BYTES_PER_PICTURE * len(names))
    if archive.getinfo(_LABELS).file_size > most:
        raise DatasetError(f"{path}: {_LABELS} is larger than {most:,} bytes")
    expected = (
        f'{path}: {_LABELS} must be {{"labels": [[name, class], ...]}} with whole numbers from 0, '
        "or with names"
    )
    try:
        labels = json.loads(archive.read(_LABELS))["labels"]
        if labels is None:
            return None
        of_name = {str(name): label for name, label in labels}
    except (ValueError, KeyError, TypeError, RecursionError, zlib.error) as error:
        raise DatasetError(f"{expected} ({error})") from error
    missing = [name for name in names if name not in of_name]
    if missing:
        raise DatasetError(
            f"{path}: {_LABELS} has no class for {len(missing)} pictures, such as {missing[0]}"
        )
    found = [of_name[name] for name in names]
    if all(type(label) is int and label >= 0 for label in found) or all(
        type(label) is str for label in found
    ):
        return found
    raise DatasetError(expected)
