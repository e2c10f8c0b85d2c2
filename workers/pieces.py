"""Rows of a shard that is not finished: kept so that they need not be computed again."""

from collections.abc import Iterable

import pyarrow as pa

from ..cluster.storage import Storage, StorageError
from .part_file import MOST_BYTES, Part, parse_part
from .schema import STATUS_OK
from .shard import PART_SUFFIX, Item, Shard

# Of a row, what says which item it is of.
_IDENTITY = ("generator", "condition", "image_id")


class Pieces:
    """The pieces of a shard in the run directory, each of the items [start, stop) of it.

    Their names have the shard's id, so that they hold what it hashes, by whatever worker of
    whatever driver they were written. How the items were cut is in the names alone.
    """

    def __init__(self, storage: Storage, shard: Shard) -> None:
        self._storage = storage
        self._shard = shard

    def name(self, start: int, stop: int) -> str:
        """What a piece is called in the run directory."""
        return f"{self._folder}/{start}-{stop}{PART_SUFFIX}"

    def write(self, start: int, stop: int, content: bytes) -> None:
        """Keeps a piece."""
        self._storage.write(self.name(start, stop), content)

    def read(self, start: int, stop: int) -> pa.Table:
        """A piece's rows, with its metadata.

        Raises:
            StorageError: it is damaged, or is not there any more.
        """
        name = self.name(start, stop)
        part = Part(name, self._storage.locate())
        rows = parse_part(self._storage.read(name, MOST_BYTES), self._shard.table, part)
        expected = [_identity(item) for item in self._shard.items[start:stop]]
        found = [tuple(row.values()) for row in rows.select(_IDENTITY).to_pylist()]
        if found != expected:
            raise part.error("does not have the rows of the planned items")
        return rows

    def there(self, start: int, stop: int) -> dict[tuple[int, int], pa.Table]:
        """The pieces inside of [start, stop) that can be read, no two of which overlap."""
        found: dict[tuple[int, int], pa.Table] = {}
        end = start
        # Of those that begin together the longest.
        for first, last in sorted(self._listed(), key=lambda span: (span[0], -span[1])):
            if first < end or last > stop:
                continue
            try:
                rows = self.read(first, last)
            except StorageError:
                # Damaged, or another driver has just finished the shard: it is computed.
                continue
            if set(rows["status"].to_pylist()) != {STATUS_OK}:
                # What failed may pass by now, and whoever resumes may ask for that.
                continue
            found[first, last] = rows
            end = last
        return found

    def delete(self) -> None:
        """Forgets all of them."""
        for first, last in self._listed():
            self._storage.delete(self.name(first, last))

    @property
    def _folder(self) -> str:
        return f"_scratch/{self._shard.id}"

    def _listed(self) -> Iterable[tuple[int, int]]:
        for name in self._storage.list_names(self._folder):
            first, dash, last = name.removesuffix(PART_SUFFIX).partition("-")
            if dash and first.isdecimal() and last.isdecimal() and int(first) < int(last):
                yield int(first), int(last)


def _identity(item: Item) -> tuple[object, ...]:
    return tuple(getattr(item, name) for name in _IDENTITY)
