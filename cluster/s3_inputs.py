"""Files that lie in a bucket, read as files: each is copied to this machine once, and verified.

Copies are kept in a folder for all runs and workers of this user. A copy's name is a hash of where
the object lies and of its ETag, the service's own hash of its content, so that another content is
another copy, and no name in a bucket can lead out of the folder. Deleting the folder costs nothing
but the copying.
"""

import hashlib
import io
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from boto3.s3.transfer import TransferConfig
from filelock import FileLock

from .local_storage import kind_of
from .outage import patiently
from .s3_client import S3Connection
from .s3_errors import explained
from .s3_settings import S3Settings
from .storage import StorageError

CACHE_VARIABLE = "OFFMANIFOLD_CACHE"

_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,12}")
_PLAIN_MD5 = re.compile(r"[0-9a-f]{32}")
# In the calling thread, whose use of the processor shows that its worker does not hang.
_DOWNLOAD = TransferConfig(num_download_attempts=8, use_threads=False)


@dataclass(frozen=True)
class RemoteFile:
    """An object as a listing shows it."""

    size: int
    etag: str


class S3Folder:
    """A prefix of a bucket as a folder of files to be read.

    Args:
        bucket: the bucket.
        prefix: without slashes at its ends; empty for the whole bucket.
        settings: where the service is.
    """

    def __init__(self, bucket: str, prefix: str, settings: S3Settings) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._settings = settings

    def address(self, name: str = "") -> str:
        """Where a file, or the folder itself, is."""
        return f"s3://{self._bucket}/{self._key(name)}".rstrip("/")

    def listing(self, folder: str = "") -> dict[str, RemoteFile]:
        """The files directly in ``folder``, by name and sorted; none where it does not exist.

        Raises:
            StorageError: it cannot be listed.
        """
        return self._found(folder, {"Delimiter": "/"})

    def tree(self) -> dict[str, RemoteFile]:
        """The files below the prefix at any depth, by name and sorted.

        An object whose name ends in a slash stands for a folder, and is among them.

        Raises:
            StorageError: it cannot be listed.
        """
        return self._found("", {})

    @patiently
    def _found(self, folder: str, how: dict[str, str]) -> dict[str, RemoteFile]:
        start = f"{self._key(folder)}/".lstrip("/")
        files: dict[str, RemoteFile] = {}
        with explained("list", self.address(folder)):
            pages = self._connection.client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket, Prefix=start, **how
            )
            for page in pages:
                for entry in page.get("Contents", []):
                    file = RemoteFile(entry["Size"], entry["ETag"].strip('"'))
                    files[entry["Key"].removeprefix(start)] = file
        # An object that ends in a slash stands for the folder itself.
        files.pop("", None)
        return dict(sorted(files.items()))

    @patiently
    def fetch(self, name: str, file: RemoteFile) -> Path:
        """This machine's copy of a file of a listing, made if need be by one process alone.

        Raises:
            StorageError: it cannot be read, has changed since the listing, or arrived damaged, or
                the folder of copies cannot be written.
        """
        digest = _digest([self._endpoint, self._bucket, self._key(name), file.etag, file.size])
        suffix = Path(name).suffix
        kept = suffix if _SUFFIX.fullmatch(suffix) else ""
        target = cache_folder() / digest[:2] / f"{digest}{kept}"
        if not _is_whole(target, file):
            with _explained_cache(self.address(name), target), _locked(target):
                if not _is_whole(target, file):
                    self._download(name, file, target)
        return target

    def copy(self, names: Sequence[str] | None = None, subfolder: str = "") -> Path:
        """A folder of this machine with copies of those of ``names`` that there are.

        Without ``names``, of all files. With a ``subfolder`` they lie in it, here as there.

        Raises:
            StorageError: as :meth:`listing` and :meth:`fetch`.
        """
        files = self.listing(subfolder)
        wanted = [name for name in files if not name.startswith(".")] if names is None else names
        found = {name: files[name] for name in wanted if name in files}
        content = [[name, file.etag, file.size] for name, file in found.items()]
        place = [self._endpoint, self._bucket, self._prefix, subfolder, content]
        folder = cache_folder() / "folders" / _digest(place)
        for name, file in found.items():
            inside = "/".join(part for part in (subfolder, name) if part)
            made = self.fetch(inside, file)
            with _explained_cache(self.address(inside), made), suppress(FileExistsError):
                (folder / subfolder).mkdir(parents=True, exist_ok=True)
                os.link(made, folder / subfolder / name)
        return folder

    def _download(self, name: str, file: RemoteFile, target: Path) -> None:
        # The lock is ours: what a killed process left of this file is written over.
        temporary = target.with_name(f".{target.name}.tmp")
        with temporary.open("w+b") as sink:
            with explained("read", self.address(name)):
                self._connection.client.download_fileobj(
                    self._bucket, self._key(name), sink, Config=_DOWNLOAD
                )
            sink.flush()
            self._verify(name, file, sink)
            os.fsync(sink.fileno())
        temporary.replace(target)

    def _verify(self, name: str, file: RemoteFile, sink: io.BufferedRandom) -> None:
        sink.seek(0)
        found = hashlib.file_digest(sink, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
        if found == file.etag and sink.tell() == file.size:
            return
        with explained("read", self.address(name)):
            now = self._connection.client.head_object(Bucket=self._bucket, Key=self._key(name))
        # The ETag of an object in several parts, or encrypted with a key, is no MD5.
        encrypted = str(now.get("ServerSideEncryption", "")).startswith("aws:")
        encrypted = encrypted or "SSECustomerAlgorithm" in now
        opaque = encrypted or not _PLAIN_MD5.fullmatch(file.etag)
        if now["ETag"].strip('"') != file.etag:
            raise StorageError(
                f"cannot read {self.address(name)}: it changed while it was being read. Run the "
                "same command again."
            )
        if not opaque or sink.tell() != file.size:
            raise StorageError(
                f"cannot read {self.address(name)}: {sink.tell():,} bytes arrived that are not the "
                f"{file.size:,} whose MD5 the service reports. Run the same command again."
            )

    @property
    def patience(self) -> float:
        """For how many seconds the service is waited for."""
        return self._settings.patience

    @cached_property
    def _connection(self) -> S3Connection:
        return S3Connection(self._settings)

    @cached_property
    def _endpoint(self) -> str:
        with explained("read", self.address()):
            return self._connection.endpoint

    def _key(self, name: str) -> str:
        return "/".join(part for part in (self._prefix, name) if part)


def cache_folder() -> Path:
    """Where copies are kept: ``OFFMANIFOLD_CACHE``, or ``offmanifold`` in the user's cache."""
    own = os.environ.get(CACHE_VARIABLE)
    if own:
        return Path(own)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "offmanifold"


def _digest(place: list[Any]) -> str:
    return hashlib.sha256(json.dumps(place).encode()).hexdigest()


def _is_whole(target: Path, file: RemoteFile) -> bool:
    try:
        return target.stat().st_size == file.size
    except FileNotFoundError:
        return False


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """One process at a time for the files of one of 256 folders; a dead one's lock is free."""
    target.parent.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.parent.mkdir(exist_ok=True)
    with FileLock(target.parent / ".lock"):
        yield


@contextmanager
def _explained_cache(address: str, target: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise kind_of(error)(
            f"cannot keep a copy of {address} in {target.parent.parent}: {error.strerror}. Free "
            f"some space there, or set {CACHE_VARIABLE} to a writable folder."
        ) from error
