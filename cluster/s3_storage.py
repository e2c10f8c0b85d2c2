"""The storage that is a prefix of a bucket of Amazon's S3 or of a service that speaks its protocol.

An object appears whole or not at all, and a part is published by **one** PUT that the service
refuses where the key exists (``If-None-Match: *``): never a multipart upload, on whose completion
Ceph ignores the condition. Retries are botocore's.
"""

import base64
import hashlib
import io
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError
from pyarrow.fs import FileSystem

from .outage import patiently, wait_out
from .s3_client import S3Connection
from .s3_errors import explained, explained_columns
from .s3_settings import S3Settings
from .storage import NO_SUCH_FILES, Result, StorageError, StrangeFileError, checked_name

_WRITER = "writer"
_CONFLICTS = 10
_ABSENT = ("NoSuchKey", "404")
_PROBING_ATTEMPTS = 2
# In the calling thread: there is nothing to gain at a part's size. A broken body is read again.
_DOWNLOAD = TransferConfig(use_threads=False, num_download_attempts=8)


class _Bounded(io.BytesIO):
    """Takes the bytes of the object at an address, as long as they are at most ``most``."""

    def __init__(self, most: int, address: str) -> None:
        super().__init__()
        self._most = most
        self._address = address

    def write(self, data: Any, /) -> int:
        if self.tell() + memoryview(data).nbytes > self._most:
            raise StrangeFileError(
                f"cannot read {self._address}: it has more than {self._most:,} bytes. "
                f"{NO_SUCH_FILES}"
            )
        return super().write(data)


@dataclass(frozen=True)
class S3Storage:
    """Objects under one prefix of a bucket.

    The connection is made in the process that needs it, so that instances pickle and never carry
    credentials.

    Args:
        bucket: the bucket, which exists.
        prefix: without slashes at its ends; empty for the whole bucket.
        settings: where the service is.
    """

    bucket: str
    prefix: str
    settings: S3Settings

    def prepare(self) -> "S3Storage":
        """This storage, once it proves that it can be written and that its PUTs are conditional.

        Raises:
            StorageError: it cannot be reached or refuses us, or it is a service that ignores
                ``If-None-Match`` and would so lose the first of two parts.
        """
        name = f".probe-{secrets.token_hex(8)}"
        with explained("use", self.locate()):
            connection = S3Connection(self.settings, _PROBING_ATTEMPTS)
            connection.client.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
        refused = self.publish(name, b"") and not self.publish(name, b"")
        self.delete(name)
        if not refused:
            raise StorageError(
                f"cannot use {self.locate()}: the service at {connection.endpoint} ignores "
                "conditional writes (If-None-Match), which keep two workers from overwriting each "
                "other's parts. Upgrade it, or keep the run elsewhere."
            )
        return self

    def locate(self, name: str = "") -> str:
        """See :meth:`Storage.locate`."""
        return f"s3://{self.bucket}/{self._key(name) if name else self.prefix}".rstrip("/")

    @patiently
    def publish(self, name: str, data: bytes) -> bool:
        """See :meth:`Storage.publish`.

        A PUT may be refused because its own first try, whose answer was lost, has succeeded: each
        call's object says who wrote it.
        """
        key, writer = self._key(name), secrets.token_hex(16)
        with explained("write", self.locate(name)):
            for conflict in range(_CONFLICTS):
                try:
                    self._put(key, data, IfNoneMatch="*", Metadata={_WRITER: writer})
                except ClientError as error:
                    code = error.response["Error"]["Code"]
                    if code == "PreconditionFailed":
                        return self._written_by(key) == writer
                    if code != "ConditionalRequestConflict":
                        raise
                    # Another writer of this key is in the middle of it; soon there is an answer.
                    time.sleep(0.05 * 2 ** min(conflict, 5))
                else:
                    return True
        raise StorageError(
            f"cannot write {self.locate(name)}: the service reported a conflict with another "
            f"writer {_CONFLICTS} times. Run the same command again; finished parts are kept."
        )

    @patiently
    def write(self, name: str, data: bytes) -> None:
        """See :meth:`Storage.write`."""
        with explained("write", self.locate(name)):
            self._put(self._key(name), data)

    @patiently
    def read(self, name: str, most: int | None = None) -> bytes:
        """See :meth:`Storage.read`."""
        sink = io.BytesIO() if most is None else _Bounded(most, self.locate(name))
        with explained("read", self.locate(name)):
            self._client.download_fileobj(self.bucket, self._key(name), sink, Config=_DOWNLOAD)
        return sink.getvalue()

    @patiently
    def exists(self, name: str) -> bool:
        """See :meth:`Storage.exists`; by a listing, whose refusals say more than a HEAD's."""
        key = self._key(name)
        with explained("read", self.locate(name)):
            answer = self._client.list_objects_v2(Bucket=self.bucket, Prefix=key, MaxKeys=1)
        return any(found["Key"] == key for found in answer.get("Contents", []))

    @patiently
    def list_names(self, folder: str = "") -> list[str]:
        """See :meth:`Storage.list_names`."""
        start = f"{self._key(folder) if folder else self.prefix}/".lstrip("/")
        with explained("list", self.locate(folder)):
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self.bucket, Prefix=start, Delimiter="/"
            )
            keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
        names = [key.removeprefix(start) for key in keys]
        return sorted(name for name in names if name and not name.startswith("."))

    @patiently
    def delete(self, name: str) -> None:
        """See :meth:`Storage.delete`."""
        with explained("delete", self.locate(name)):
            self._client.delete_object(Bucket=self.bucket, Key=self._key(name))

    @patiently
    def move(self, name: str, target: str) -> None:
        """See :meth:`Storage.move`; a copy that the service makes, and then a deletion."""
        key = self._key(name)
        with explained("move", self.locate(name)):
            try:
                self._client.copy_object(
                    Bucket=self.bucket,
                    Key=self._key(target),
                    CopySource={"Bucket": self.bucket, "Key": key},
                )
            except ClientError as error:
                if error.response["Error"]["Code"] in _ABSENT:
                    return
                raise
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def remove_stale(self, folder: str, older_than: float = 900.0) -> int:
        """See :meth:`Storage.remove_stale`: a writer that dies leaves nothing in a bucket."""
        del folder, older_than
        return 0

    @contextmanager
    def columns(self, name: str = "") -> Iterator[tuple[FileSystem, str]]:
        """See :meth:`Storage.columns`."""
        key = self._key(name) if name else self.prefix
        with explained_columns(self.locate(name)):
            yield self._connection.file_system(), f"{self.bucket}/{key}".rstrip("/")

    def wait_out(self, call: Callable[[], Result]) -> Result:
        """See :meth:`Storage.wait_out`."""
        return wait_out(self.patience, call)

    @property
    def patience(self) -> float:
        """For how many seconds the service is waited for."""
        return self.settings.patience

    def __getstate__(self) -> dict[str, Any]:
        return {key: self.__dict__[key] for key in ("bucket", "prefix", "settings")}

    @cached_property
    def _connection(self) -> S3Connection:
        return S3Connection(self.settings)

    @property
    def _client(self) -> Any:
        return self._connection.client

    def _key(self, name: str) -> str:
        return f"{self.prefix}/{checked_name(name)}".lstrip("/")

    def _put(self, key: str, data: bytes, **conditions: Any) -> None:
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        self._client.put_object(
            Bucket=self.bucket,
            Key=key,
            Body=data,
            ContentMD5=base64.b64encode(digest).decode(),
            **conditions,
        )

    def _written_by(self, key: str) -> str | None:
        """Who published the object; None where it has gone again meanwhile."""
        try:
            answer = self._client.head_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "404":
                return None
            raise
        found: str | None = answer["Metadata"].get(_WRITER)
        return found
