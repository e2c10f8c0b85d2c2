"""Image sets in a bucket whose files are copied to this machine before they are opened."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...cluster.locations import LocationError, is_hub
from ...cluster.s3_settings import S3Settings
from ..inputs import copied_file, copied_folder, naming_original
from .image_set import DatasetError, Header, ImageError, ImageSet, Shape

_IDX = tuple(
    f"{split}-{kind}-ubyte{suffix}"
    for split in ("train", "t10k")
    for kind in ("images-idx3", "labels-idx1")
    for suffix in (".gz", "")
)
_CIFAR10 = (
    "cifar-10-binary.tar.gz",
    "cifar-10-python.tar.gz",
    *(
        f"{name}{suffix}"
        for name in (*(f"data_batch_{number}" for number in range(1, 6)), "test_batch")
        for suffix in ("", ".bin")
    ),
)
# What each set reads of the folder that its path names.
_FILES: dict[str, tuple[str, ...]] = {
    "fashion_mnist": _IDX,
    "mnist": _IDX,
    "cifar10": _CIFAR10,
    "lmdb": ("data.mdb",),
    "svhn": tuple(f"{split}_32x32.mat" for split in ("train", "test", "extra")),
}
_ONE_FILE = ("zip", "npz")


class CopiedImages:
    """An image set of copied files, which calls them by their address."""

    def __init__(self, images: ImageSet, copy: Path, address: str) -> None:
        """``images`` were opened from ``copy``, the copy of what lies at ``address``."""
        self.name = images.name
        self.split = images.split
        self.num_classes = images.num_classes
        self.class_names = images.class_names
        self.account = images.account and images.account.naming(str(copy), address)
        self.image_shape = images.image_shape
        self.length = images.length
        self._images = images
        self._copy = copy
        self._address = address

    def labels(self) -> NDArray[np.int64] | None:
        """See ImageSet."""
        return self._images.labels()

    def image(self, index: int) -> tuple[NDArray[np.float32], int | None]:
        """See ImageSet."""
        with naming_original(self._address, self._copy, ImageError):
            return self._images.image(index)

    def header(self, index: int) -> Header | None:
        """See ImageSet."""
        with naming_original(self._address, self._copy, ImageError):
            return self._images.header(index)

    def source(self, index: int) -> str:
        """See ImageSet."""
        return self._images.source(index).replace(self._copy.as_posix(), self._address)

    def hash(self) -> str:
        """See ImageSet."""
        return self._images.hash()

    def fingerprint(self) -> str:
        """See ImageSet."""
        return self._images.fingerprint()

    def arrays(
        self, indices: Sequence[int] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """See ImageSet."""
        with naming_original(self._address, self._copy, ImageError):
            return self._images.arrays(indices)


def open_copied(
    name: str,
    address: str,
    split: str,
    service: S3Settings,
    opener: Callable[[Path], ImageSet],
) -> CopiedImages:
    """The image set ``name`` at an ``s3://`` address, by the ``opener`` of its files.

    Raises:
        DatasetError: as the opener; or a set that has no files.
        StorageError: the bucket cannot be read.
    """
    try:
        copy = _copy(name, address, split, service)
    except (LocationError, FileNotFoundError) as error:
        raise DatasetError(str(error)) from error
    with naming_original(address, copy, DatasetError):
        return CopiedImages(opener(copy), copy, address)


def _copy(name: str, address: str, split: str, service: S3Settings) -> Path:
    if name in _ONE_FILE:
        return copied_file(address, service)
    if name == "folder":
        return copied_folder(address, None, service, split)
    if name == "run":
        return copied_folder(address, None, service, "images")
    if name not in _FILES:
        raise DatasetError(
            f"image set '{name}' is not read from a bucket: remove the path {address}, or name a "
            "folder on this machine"
        )
    # Of the sets whose files are named by the split, the others' are left where they are.
    own = [file for file in _FILES[name] if file.startswith(f"{split}_")]
    return copied_folder(address, own or _FILES[name], service)


def open_remote(
    name: str,
    address: str,
    split: str,
    shape: Shape | None,
    service: S3Settings,
    opener: Callable[[Path], ImageSet],
    own: Mapping[str, Any],
) -> ImageSet:
    """The image set ``name`` at an ``s3://`` or ``hf://`` address; arguments as for `open_dataset`.

    ``own`` are the further arguments for a folder; other openers see to theirs themselves.

    Raises:
        DatasetError: as :func:`open_copied`.
        StorageError: the bucket cannot be read.
    """
    if name != "folder" or is_hub(address):
        return open_copied(name, address, split, service, opener)
    from .bucket_folder import open_bucket_folder

    try:
        return open_bucket_folder(address, split, shape, service, **own)
    except LocationError as error:
        raise DatasetError(str(error)) from error
