"""A folder of the user's images in a bucket: as a local one, each file copied here when needed."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import PurePosixPath

from ...cluster.locations import split_address
from ...cluster.s3_inputs import S3Folder
from ...cluster.s3_settings import S3Settings
from .folder import NEEDS_SHAPE
from .image_set import DatasetError, Shape
from .listed_images import LabelList, ListedImages, find_images
from .picture_rule import Alpha, PictureRule
from .resized import Resizing

_CONNECTIONS = 8


class BucketPlace:
    """The objects under a prefix; see `Place`. A copy is judged as a local file would be."""

    def __init__(self, bucket: S3Folder) -> None:
        """Lists the bucket.

        Raises:
            StorageError: it cannot be listed.
        """
        self._bucket = bucket
        self._files = bucket.tree()

    @property
    def address(self) -> str:
        """See Place."""
        return self._bucket.address()

    def names(self) -> Iterator[str]:
        """See Place."""
        return iter(self._files)

    def locate(self, name: str) -> str:
        """See Place."""
        return self._bucket.address(name)

    def origin(self, name: str) -> str:
        """See Place."""
        return self._bucket.address(name)

    def size(self, name: str) -> int:
        """See Place."""
        return self._files[name].size

    def version(self, name: str) -> str:
        """See Place; the service has a hash of each object."""
        return f"{self._files[name].size} {self._files[name].etag}"

    def read(self, name: str) -> bytes:
        """See Place.

        Raises:
            StorageError: the bucket cannot be read.
        """
        return self._bucket.fetch(name, self._files[name]).read_bytes()

    def prepare(self, names: Iterable[str]) -> None:
        """See Place; copies them, several at a time.

        Raises:
            StorageError: the bucket cannot be read.
        """
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            for _ in pool.map(lambda name: self._bucket.fetch(name, self._files[name]), names):
                pass


def open_bucket_folder(
    address: str,
    split: str,
    image_shape: Shape | None,
    service: S3Settings,
    resizing: Resizing | None,
    alpha: Alpha | None,
    listed: LabelList | None = None,
) -> ListedImages:
    """The images under an ``s3://`` address, as :func:`~.folder.open_folder` has them of a folder.

    Raises:
        DatasetError: no images, a list of classes that cannot be used, or no shape.
        LocationError: not the address of a bucket.
        StorageError: the bucket cannot be listed.
    """
    if image_shape is None:
        raise DatasetError(NEEDS_SHAPE)
    if PurePosixPath(split).is_absolute() or ".." in PurePosixPath(split).parts:
        raise DatasetError(f"split {split!r} leads out of {address}: name a folder inside it")
    bucket = S3Folder(*split_address(f"{address}/{split}" if split else address), service)
    place = BucketPlace(bucket)
    return ListedImages(
        "folder",
        split,
        place,
        find_images(place, listed),
        PictureRule(image_shape, resizing, alpha),
    )
