"""Locations: a path of a file system or an ``s3://bucket/prefix`` address, and what lies there.

boto3 is imported once a bucket is named.
"""

import re
from pathlib import Path

from .local_storage import LocalStorage
from .s3_settings import S3Settings
from .storage import Storage

Location = str | Path

_S3 = "s3://"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,62}")


class LocationError(ValueError):
    """A location that is neither a path nor the address of a bucket; says what was expected."""


def is_remote(location: Location) -> bool:
    """Whether the location is an address and not a path."""
    return _SCHEME.match(str(location)) is not None


def absolute(location: Location, base: Path | None = None) -> str:
    """A path counted from ``base`` (by default the working directory); an address as it is.

    Raises:
        LocationError: an address that is not of a bucket.
    """
    if is_remote(location):
        bucket, prefix = split_address(str(location))
        return f"{_S3}{bucket}/{prefix}".rstrip("/")
    return str(Path(base or "", Path(location).expanduser()).resolve())


def split_address(location: str) -> tuple[str, str]:
    """Bucket and prefix of an ``s3://`` address, the prefix without slashes at its ends.

    Raises:
        LocationError: another scheme, no bucket's name, or a prefix that a path could not have.
    """
    bucket, _, prefix = location.removeprefix(_S3).partition("/")
    prefix = prefix.strip("/")
    steps = prefix.split("/") if prefix else []
    strange = any(step in ("", ".", "..") for step in steps)
    if not location.startswith(_S3) or not _BUCKET.fullmatch(bucket) or strange:
        raise LocationError(
            f"{location}: expected a path, or s3://BUCKET/PREFIX with a bucket name and single "
            "slashes in the prefix"
        )
    return bucket, prefix


def open_storage(location: Location, settings: S3Settings) -> Storage:
    """The storage at a location, whether or not anything is there.

    Raises:
        LocationError: as :func:`split_address`.
    """
    if not is_remote(location):
        return LocalStorage(Path(location))
    from .s3_storage import S3Storage

    return S3Storage(*split_address(str(location)), settings)


def create_storage(location: Location, settings: S3Settings) -> Storage:
    """The storage at a location, made ready to be written: the folder exists, the bucket accepts.

    Raises:
        LocationError: as :func:`split_address`.
        StorageError: the place cannot be written.
    """
    if not is_remote(location):
        return LocalStorage.create(Path(location))
    from .s3_storage import S3Storage

    return S3Storage(*split_address(str(location)), settings).prepare()
