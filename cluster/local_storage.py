"""The storage that is a folder of a local (or mounted) file system.

Temporary names start with a dot, so that readers of a folder of Parquet files pass over them.
"""

import contextlib
import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pyarrow.fs import FileSystem, LocalFileSystem

from .regular_file import FileTooLargeError, NotRegularError, open_regular, read_regular
from .storage import (
    NO_SUCH_FILES,
    Result,
    StorageDeniedError,
    StorageError,
    StorageFullError,
    StrangeFileError,
    checked_name,
)

_TEMPORARY_SUFFIX = ".tmp"

_NO_STRANGE_FILES = (
    "A run holds regular files in folders of its own: remove it, or put a copy of what it stands "
    "for in its place"
)
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EROFS, errno.EACCES, errno.EPERM}
_NO_HARD_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}


@dataclass(frozen=True)
class LocalStorage:
    """Files under one folder of a local (or mounted) file system.

    Folders below ``root`` are made when something is written into them; ``root`` itself is made by
    :meth:`create` alone, so that a run whose disk is not mounted fails instead of filling the
    mount point.
    """

    root: Path

    @classmethod
    def create(cls, root: Path) -> "LocalStorage":
        """Storage under ``root``, which is made with its parents where it does not exist."""
        with _explained("create", root):
            root.mkdir(parents=True, exist_ok=True)
        return cls(root)

    def locate(self, name: str = "") -> str:
        """See :meth:`Storage.locate`."""
        return str(self._path(name) if name else self.root)

    def publish(self, name: str, data: bytes) -> bool:
        """See :meth:`Storage.publish`.

        The file is synced before it gets its name and its folder afterwards: what was published
        survives a power cut.
        """
        target = self._place(name)
        with _explained("write", target):
            # Another process may take a slow writer's temporary for a dead one's; nothing is lost
            # by writing it once more.
            for _ in range(3):
                with contextlib.suppress(_TemporaryRemovedError):
                    return self._publish_once(target, data)
        raise StorageError(
            f"cannot write {target}: its temporary file was removed three times while it was "
            "being written. Find out which program clears this folder, then run the same "
            "command again."
        )

    def write(self, name: str, data: bytes) -> None:
        """See :meth:`Storage.write`."""
        target = self._place(name)
        with _explained("write", target), self._temporary(target, data) as temporary:
            temporary.replace(target)
            _sync_folder(target.parent)

    def read(self, name: str, most: int | None = None) -> bytes:
        """See :meth:`Storage.read`."""
        target = self._inside(name)
        with _explained("read", target):
            return read_regular(target, most)

    def exists(self, name: str) -> bool:
        """See :meth:`Storage.exists`."""
        target = self._path(name)
        with _explained("read", target):
            return target.exists()

    def list_names(self, folder: str = "") -> list[str]:
        """See :meth:`Storage.list_names`."""
        target = self._inside(folder) if folder else self.root
        with _explained("list", target):
            self._require_root()
            if not target.exists():
                return []
            with os.scandir(target) as entries:
                # What is no file has a file's name all the same: whoever reads it is told.
                return sorted(
                    e.name for e in entries if not e.name.startswith(".") and not _is_folder(e)
                )

    def delete(self, name: str) -> None:
        """See :meth:`Storage.delete`."""
        target = self._place(name)
        with _explained("delete", target):
            target.unlink(missing_ok=True)

    def move(self, name: str, target: str) -> None:
        """See :meth:`Storage.move`."""
        old, new = self._place(name), self._place(target)
        with _explained("move", old):
            new.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):
                old.replace(new)
            _sync_folder(new.parent)
            _sync_folder(old.parent)

    def remove_stale(self, folder: str, older_than: float = 900.0) -> int:
        """See :meth:`Storage.remove_stale`.

        A temporary lives for as long as one file takes to write, so those not touched for
        ``older_than`` seconds are taken to be dead. Mistaking a slow writer for a dead one costs
        that writer a second try (see :meth:`publish`).
        """
        target = self._inside(folder)
        removed = 0
        with _explained("clean", target):
            for path in target.glob(f".*{_TEMPORARY_SUFFIX}"):
                # Another process may be cleaning, or finishing its own file.
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - path.stat().st_mtime > older_than:
                        path.unlink()
                        removed += 1
        return removed

    @contextlib.contextmanager
    def columns(self, name: str = "") -> Iterator[tuple[FileSystem, str]]:
        """See :meth:`Storage.columns`."""
        target = self._inside(name) if name else self.root
        with _explained("read", target):
            if name:
                open_regular(target).close()
            yield LocalFileSystem(), str(target)

    def wait_out(self, call: Callable[[], Result]) -> Result:
        """See :meth:`Storage.wait_out`: a file system makes its callers wait by itself."""
        return call()

    def _path(self, name: str) -> Path:
        return self.root / checked_name(name)

    def _inside(self, name: str) -> Path:
        """The path of what is read, unless it or a folder on the way leads out of the place."""
        path = self._path(name)
        self._require_inside(path)
        return path

    def _place(self, name: str) -> Path:
        """The path of what is written, moved or removed, which may be a link itself."""
        path = self._path(name)
        self._require_inside(path.parent)
        return path

    def _require_inside(self, path: Path) -> None:
        real = os.path.realpath(path)
        if not Path(real).is_relative_to(os.path.realpath(self.root)):
            raise StrangeFileError(
                f"cannot use {path}: it is, or lies behind, a link that leads out of {self.root}. "
                f"{_NO_STRANGE_FILES}"
            )

    def _require_root(self) -> None:
        if not self.root.is_dir():
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(self.root))

    def _publish_once(self, target: Path, data: bytes) -> bool:
        if target.is_dir():
            told = "it is a folder, not a regular file"
            raise NotRegularError(errno.EISDIR, told, str(target))
        if target.exists():
            return False
        with self._temporary(target, data) as temporary:
            published = _link(temporary, target)
            _sync_folder(target.parent)
        return published

    @contextlib.contextmanager
    def _temporary(self, target: Path, data: bytes) -> Iterator[Path]:
        """A synced file with ``data`` beside ``target``, gone again afterwards."""
        self._require_root()
        if not target.parent.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            _sync_folder(target.parent.parent)
        temporary = target.with_name(f".{target.name}.{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}")
        try:
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            yield temporary
        finally:
            # The error that brought us here says more than a second one would, and what is left
            # behind is hidden and removed later.
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)


class _TemporaryRemovedError(Exception):
    """Our temporary file was taken for a dead writer's."""


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _link(temporary: Path, target: Path) -> bool:
    """Give ``temporary`` its name unless that is taken; whether it was given."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        # Over NFS a repeated request may find the link that its first try made.
        return temporary.samefile(target)
    except FileNotFoundError:
        if temporary.exists():
            raise
        raise _TemporaryRemovedError from None
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        # Without hard links the look and the renaming are two steps: of two writers in between
        # the later one's file stays, whole, and with the same planned rows.
        if target.exists():
            return False
        temporary.rename(target)
    return True


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(verb: str, path: Path) -> Iterator[None]:
    """Turn an ``OSError`` into a :class:`StorageError` that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        raise kind_of(error)(f"cannot {verb} {path}: {reason}. {_remedy(error, path)}") from error


def kind_of(error: OSError) -> type[StorageError]:
    """What a file system's error is to those who store: no room, no permission, or anything."""
    if isinstance(error, NotRegularError | FileTooLargeError):
        return StrangeFileError
    if error.errno in _FULL:
        return StorageFullError
    return StorageDeniedError if error.errno in _FORBIDDEN else StorageError


def _remedy(error: OSError, path: Path) -> str:
    if isinstance(error, NotRegularError):
        return _NO_STRANGE_FILES
    if isinstance(error, FileTooLargeError):
        return NO_SUCH_FILES
    if error.errno in _FULL:
        return (
            "The disk or a quota is full: free some space, then run the same command again; "
            "finished parts are kept."
        )
    if error.errno in _FORBIDDEN:
        return "The folder is read-only or belongs to someone else: choose another or allow writes."
    if error.errno == errno.ENOENT:
        missing = error.filename or path
        return f"{missing} does not exist: was the run moved, or is its disk not mounted?"
    return "Check that the disk is healthy and mounted, then run the same command again."
