"""Locations: a path of a file system or an ``s3://bucket/prefix`` address, and what lies there.

Weights and images may also be at an ``hf://`` address, which is only read. boto3 is imported once a
bucket is named.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from .local_storage import LocalStorage
from .s3_settings import S3Settings
from .storage import Storage

Location = str | Path

_S3 = "s3://"
_HUB = "hf://"
_HUB_KINDS = {"datasets": "dataset", "spaces": "space"}
_HUB_REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
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
        LocationError: an address that is not of a bucket, nor of a repository of the hub; or a path
            of a user that there is not.
    """
    if is_hub(location):
        return HubAddress.of(str(location)).text
    if is_remote(location):
        bucket, prefix = split_address(str(location))
        return f"{_S3}{bucket}/{prefix}".rstrip("/")
    return str(Path(base or "", at_home(location)).resolve())


def at_home(location: Location) -> Path:
    """A path with the home of ``~`` or ``~USER`` in its place.

    Raises:
        LocationError: there is no such user.
    """
    try:
        return Path(location).expanduser()
    except RuntimeError as error:
        raise LocationError(
            f"{location}: there is no such user; ./{location} is a file of that name"
        ) from error


def is_hub(location: Location) -> bool:
    """Whether it is an address of the Hugging Face Hub."""
    return str(location).startswith(_HUB)


@dataclass(frozen=True)
class HubAddress:
    """``hf://[datasets/]OWNER/NAME[@REVISION][/PATH]``, as ``huggingface_hub`` writes addresses.

    ``kind`` is model, dataset or space. A revision is a branch, a tag or a commit, None for the
    newest. ``path`` is of a file or folder in the repository, empty for all of it.
    """

    text: str
    kind: str
    repository: str
    revision: str | None
    path: str

    @classmethod
    def of(cls, location: str) -> "HubAddress":
        """The parts of an address.

        Raises:
            LocationError: not such an address.
        """
        text = location.rstrip("/")
        first, *rest = text.removeprefix(_HUB).split("/")
        kind = _HUB_KINDS.get(first, "model")
        owner, *rest = rest if first in _HUB_KINDS and rest else [first, *rest]
        name, at, revision = (rest[0] if rest else "").partition("@")
        steps = rest[1:]
        named = all(_HUB_REPOSITORY.fullmatch(part) for part in (owner, name))
        strange = any(step in ("", ".", "..") for step in steps) or (at and not revision)
        if not is_hub(location) or not named or strange:
            raise LocationError(
                f"{location}: expected hf://OWNER/NAME[@REVISION]/PATH for a file or folder of a "
                "model's repository, or hf://datasets/OWNER/NAME[@REVISION]/PATH"
            )
        # A branch such as refs/pr/1 is written with its slashes escaped.
        found = revision.replace("%2F", "/") or None
        return cls(text, kind, f"{owner}/{name}", found, "/".join(steps))


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
