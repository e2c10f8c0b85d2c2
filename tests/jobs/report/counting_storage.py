"""A folder that counts what is asked of it: listings, and by part, openings and footers."""

import io
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pyarrow as pa
from offmanifold.cluster.local_storage import LocalStorage
from pyarrow.fs import FileSystem


@dataclass(frozen=True)
class CountingStorage(LocalStorage):
    """Counts by folder, and by path; a read that ends with the file is one of its footer."""

    listings: Counter[str] = field(default_factory=Counter)
    opened: Counter[str] = field(default_factory=Counter)
    footers: Counter[str] = field(default_factory=Counter)

    def list_names(self, folder: str = "") -> list[str]:
        """Counts the listing."""
        self.listings[folder] += 1
        return super().list_names(folder)

    @contextmanager
    def columns(self, name: str = "") -> Iterator[tuple[FileSystem, str]]:
        """A file system whose files count what is read of them."""
        with super().columns(name) as (_, folder):
            yield cast(FileSystem, _Files(self)), folder


class _Files:
    """What a reader of parts asks of a file system."""

    def __init__(self, counts: CountingStorage) -> None:
        self._counts = counts

    def open_input_file(self, path: str) -> pa.NativeFile:
        self._counts.opened[path] += 1
        return pa.PythonFile(_File(path, self._counts), "r")


class _File(io.BytesIO):
    def __init__(self, path: str, counts: CountingStorage) -> None:
        super().__init__(Path(path).read_bytes())
        self._path = path
        self._counts = counts

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self._counts.footers[self._path] += self.tell() == len(self.getbuffer())
        return found
