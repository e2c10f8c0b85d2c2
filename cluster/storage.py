"""Where a run's bytes go: a tree in which a file appears whole or not at all.

A part is *published*: the first writer wins and every later one is told so, which is what makes a
repeated, raced or resumed shard harmless. Report files are *written*: the last writer wins.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import PurePosixPath
from typing import Protocol, TypeVar

from pyarrow.fs import FileSystem

Result = TypeVar("Result")

# Of a file far larger than its kind, what can be done about it.
NO_SUCH_FILES = "No run writes such a file: remove it, then run the same command again."


class StorageError(Exception):
    """Bytes could not be stored or read; the message names the path, what happened and a remedy."""


class StorageFullError(StorageError):
    """There is no room left, or a quota is reached."""


class StorageDeniedError(StorageError):
    """The place is read-only, or not for us to write or read."""


class StrangeFileError(StorageError):
    """What has a file's name is no regular file, leads out of the place, or is far too large."""


class AwayError(StorageError):
    """A store cannot be reached or does not answer, which may pass."""


class CredentialsError(StorageError):
    """A store's credentials are missing, wrong or expired."""


class Storage(Protocol):
    """Files under one place, on a file system or in a bucket.

    Names are relative POSIX paths such as ``"likelihood/part-0a1b.parquet"``. Instances pickle,
    and any number of processes on any machines may use one place at once.

    Every method raises :class:`StorageError` where the store refuses or cannot be reached, and
    ``ValueError`` for a name that leaves the place.
    """

    def locate(self, name: str = "") -> str:
        """Where ``name``, or the place itself, is: a path or an ``s3://`` address, for people."""
        ...

    def publish(self, name: str, data: bytes) -> bool:
        """Store ``data`` as ``name`` unless it exists already; whether this call stored it."""
        ...

    def write(self, name: str, data: bytes) -> None:
        """Store ``data`` as ``name``, in place of what was there; readers see old or new, whole."""
        ...

    def read(self, name: str, most: int | None = None) -> bytes:
        """The bytes stored as ``name``; ``StrangeFileError`` where they are more than ``most``."""
        ...

    def exists(self, name: str) -> bool:
        """Whether ``name`` is stored."""
        ...

    def list_names(self, folder: str = "") -> list[str]:
        """The names of the files directly in ``folder``, sorted; empty where it does not exist.

        Hidden files, temporary ones among them, are left out.
        """
        ...

    def delete(self, name: str) -> None:
        """Remove ``name``; nothing happens where it does not exist."""
        ...

    def move(self, name: str, target: str) -> None:
        """Give what is stored as ``name`` the name ``target``, in place of what was there.

        Nothing happens where ``name`` does not exist: another process may have moved it.
        """
        ...

    def remove_stale(self, folder: str, older_than: float = 900.0) -> int:
        """Remove what killed writers left in ``folder``; how many temporary files that were.

        Only what was not touched for ``older_than`` seconds is taken to be dead.
        """
        ...

    def columns(self, name: str = "") -> AbstractContextManager[tuple[FileSystem, str]]:
        """Arrow's own way to the files, for reading single columns of them.

        A file system, and where ``name``, or the place itself, is in it.
        """
        ...

    def wait_out(self, call: Callable[[], Result]) -> Result:
        """What a call that reads by :meth:`columns` gives; made again while the store is away."""
        ...


def checked_name(name: str) -> str:
    """``name``, once it proves to be a relative path that stays inside.

    Raises:
        ValueError: for an absolute path, an empty one, or one with ``..``.
    """
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise ValueError(f"a storage name is a relative path inside the run, got {name!r}")
    return path.as_posix()
