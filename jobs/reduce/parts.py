"""The parts of a stage: each one's end read and checked once, columns read when asked."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

import pyarrow as pa

from ...cluster.storage import Storage
from ...workers.part_file import (
    PARTS_AT_ONCE,
    Part,
    check_table,
    decoded_columns,
    opened_part,
    read_end,
)
from ...workers.schema import STAGE_KEY, VERSION_KEY, TableSchema
from ...workers.seal import End
from ...workers.shard import PART_SUFFIX, part_name


class RunTableError(ValueError):
    """A run's tables contradict themselves, the spec or this version's schema."""


@dataclass(frozen=True)
class StageParts:
    """The parts of a stage, in the order of their names.

    ``_ends`` are those of the parts that were read, as they are stored (some 5 kB each; parsed they
    take fifteen times that), so that a second reading asks for its columns alone.
    """

    storage: Storage
    table: TableSchema
    names: Sequence[str]
    _ends: dict[str, End] = field(default_factory=dict)

    def read(
        self, columns: Sequence[str], positions: Sequence[int] | None = None
    ) -> Iterator[pa.Table]:
        """Those columns of every part, or of the parts at ``positions``, one table a part.

        Raises:
            RunTableError: a part of another schema version or of another stage.
            PartError: a part that is damaged.
        """
        names = self.names if positions is None else [self.names[at] for at in positions]
        with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            read = self._reader(columns)
            for start in range(0, len(names), PARTS_AT_ONCE):
                yield from pool.map(read, names[start : start + PARTS_AT_ONCE])

    def _reader(self, columns: Sequence[str]) -> Callable[[str], pa.Table]:
        def read(name: str) -> pa.Table:
            return self.storage.wait_out(lambda: read_once(name))

        def read_once(name: str) -> pa.Table:
            part = Part(f"{self.table.name}/{name}", self.storage.locate())
            with opened_part(self.storage, part) as file:
                known = self._ends.get(name)
                end = read_end(file, part) if known is None else replace(known)
                if known is None:
                    _check_version(end, self.table, part.place)
                    check_table(end, self.table, part)
                    # Of this one nothing is parsed yet.
                    self._ends[name] = replace(end)
                return decoded_columns(file, end, part, columns)

        return read


def stage_parts(
    storage: Storage, table: TableSchema, planned: Iterable[str] | None
) -> StageParts | None:
    """The parts of a table of the run at ``storage``; None where it has none.

    Those of the ``planned`` shards, whatever else lies there; all that are there now if None.
    """
    if planned is not None:
        parts = sorted(part_name(shard_id) for shard_id in planned)
    else:
        names = storage.list_names(table.name)
        parts = [name for name in names if name.startswith("part-") and name.endswith(PART_SUFFIX)]
    return StageParts(storage, table, parts) if parts else None


def list_columns(table: TableSchema) -> list[str]:
    """The columns of a table that hold a list in each row: pixels, latents, chains."""
    return [column.name for column in table.arrow if pa.types.is_list(column.type)]


def scalar_columns(table: TableSchema) -> list[str]:
    """The columns of a table that are not lists, the key columns first."""
    lists = list_columns(table)
    return [name for name in table.arrow.names if name not in lists]


def _check_version(end: End, table: TableSchema, part: str) -> None:
    version = end.metadata.get(VERSION_KEY, "none")
    expected = str(table.version)
    if version != expected:
        raise RunTableError(
            f"{part} has schema version {version}, this version of offmanifold reads "
            f"{expected}: run the stage again or use the version that wrote it"
        )
    owner = end.metadata.get(STAGE_KEY, "none")
    if owner != table.name:
        raise RunTableError(f"{part} holds rows of stage {owner}, expected {table.name}")
