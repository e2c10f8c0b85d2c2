"""A folder of the user's images in a bucket: as a local one, each file copied here when needed."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from ...cluster.locations import split_address
from ...cluster.s3_inputs import RemoteFile, S3Folder, cache_folder
from ...cluster.s3_settings import S3Settings
from ..inputs import naming_original
from .folder import NEEDS_SHAPE, SUFFIXES, FolderImages, require_one_layout
from .image_set import DatasetError, ImageError, Shape, require_index
from .resized import Resizing, change

_CONNECTIONS = 8


class BucketImages(FolderImages):
    """Image files in a bucket; a copy is judged, and decoded, as a local file would be."""

    def __init__(
        self,
        bucket: S3Folder,
        split: str,
        image_shape: Shape,
        files: dict[Path, RemoteFile],
        classes: list[str],
        resizing: Resizing | None,
    ) -> None:
        """``files`` are relative to ``bucket``, whose subfolders ``classes`` are, if any."""
        super().__init__(cache_folder(), split, image_shape, list(files), classes, resizing)
        self._bucket = bucket
        self._remote = files

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet.

        Raises:
            StorageError: the bucket cannot be read.
        """
        require_index(index, self.length)
        file = self._files[index]
        with naming_original(self._address(file), self._path(file), ImageError):
            return super().image(index)

    def source(self, index: int) -> str:
        """See ImageSet."""
        require_index(index, self.length)
        return f"folder:{self._address(self._files[index])}{change(self._resizing)}"

    def hash(self) -> str:
        """See ImageSet; equal to that of a local folder with the same files.

        Raises:
            StorageError: the bucket cannot be read.
        """
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            for _ in pool.map(self._prefetch, self._files):
                pass
        return super().hash()

    def _version(self, file: Path) -> str:
        return f"{self._remote[file].size} {self._remote[file].etag}"

    def _prefetch(self, file: Path) -> None:
        # What is wrong with one file is told where it is opened.
        with suppress(ImageError):
            self._path(file)

    def _path(self, file: Path) -> Path:
        remote = self._remote[file]
        self._require_size(self._address(file), remote.size)
        return self._bucket.fetch(file.as_posix(), remote)

    def _address(self, file: Path) -> str:
        return self._bucket.address(file.as_posix())


def open_bucket_folder(
    address: str,
    split: str,
    image_shape: Shape | None,
    service: S3Settings,
    resizing: Resizing | None,
) -> BucketImages:
    """The images under an ``s3://`` address, as :func:`~.folder.open_folder` has them of a folder.

    Raises:
        DatasetError: no images, images beside and in subfolders, or no shape.
        LocationError: not the address of a bucket.
        StorageError: the bucket cannot be listed.
    """
    if image_shape is None:
        raise DatasetError(NEEDS_SHAPE)
    if PurePosixPath(split).is_absolute() or ".." in PurePosixPath(split).parts:
        raise DatasetError(f"split {split!r} leads out of {address}: name a folder inside it")
    bucket = S3Folder(*split_address(f"{address}/{split}" if split else address), service)
    top = bucket.listing()
    classes = [name for name in top.folders if name and not name.startswith(".")]
    files = _images(top.files, Path())
    with ThreadPoolExecutor(_CONNECTIONS) as pool:
        listings = list(pool.map(bucket.listing, classes))
    in_classes: dict[Path, RemoteFile] = {}
    for name, listing in zip(classes, listings, strict=True):
        in_classes |= _images(listing.files, Path(name))
    require_one_layout(bucket.address(), classes, list(files), list(in_classes))
    return BucketImages(bucket, split, image_shape, in_classes or files, classes, resizing)


def _images(files: dict[str, RemoteFile], folder: Path) -> dict[Path, RemoteFile]:
    return {
        folder / name: file
        for name, file in files.items()
        if PurePosixPath(name).suffix.lower() in SUFFIXES
    }
