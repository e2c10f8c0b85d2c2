"""The parts of a stage: listed once, each footer read and checked once, columns read when asked."""

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow.fs import FileSystem

from ...cluster.storage import Storage
from ...workers.part_file import PARTS_AT_ONCE, check_part, open_part, part_rows
from ...workers.schema import STAGE_KEY, VERSION_KEY, TableSchema
from ...workers.shard import PART_SUFFIX


class RunTableError(ValueError):
    """A run's tables contradict themselves, the spec or this version's schema."""


@dataclass(frozen=True)
class StageParts:
    """The parts of a stage, in the order of their names.

    ``_footers`` are those of the parts that were read, as they are stored (some 5 kB each; parsed
    they take fifteen times that), so that a second reading asks for its columns alone.
    """

    storage: Storage
    table: TableSchema
    names: Sequence[str]
    _footers: dict[str, bytes] = field(default_factory=dict)

    def read(
        self, columns: Sequence[str], positions: Sequence[int] | None = None
    ) -> Iterator[pa.Table]:
        """Those columns of every part, or of the parts at ``positions``, one table a part.

        Raises:
            RunTableError: a part of another schema version or of another stage.
            PartError: a part that is damaged.
        """
        names = self.names if positions is None else [self.names[at] for at in positions]
        with self.storage.columns() as (files, folder), ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
            read = self._reader(files, f"{folder}/{self.table.name}", columns)
            for start in range(0, len(names), PARTS_AT_ONCE):
                yield from pool.map(read, names[start : start + PARTS_AT_ONCE])

    def _reader(
        self, files: FileSystem, folder: str, columns: Sequence[str]
    ) -> Callable[[str], pa.Table]:
        def read(name: str) -> pa.Table:
            known, place = self._footers.get(name), self.storage.locate(f"{self.table.name}/{name}")
            footer = None if known is None else pq.read_metadata(io.BytesIO(known))
            with files.open_input_file(f"{folder}/{name}") as file:
                part = open_part(file, place, footer)
                if footer is None:
                    _check_version(part.schema_arrow, self.table, place)
                    check_part(part, self.table, place)
                    self._footers[name] = _stored(part.metadata)
                return part_rows(part, place, columns)

        return read


def stage_parts(storage: Storage, table: TableSchema) -> StageParts | None:
    """The parts that a table of the run at ``storage`` has now; None where it has none."""
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


def _stored(footer: pq.FileMetaData) -> bytes:
    sink = io.BytesIO()
    footer.write_metadata_file(sink)
    return sink.getvalue()


def _check_version(schema: pa.Schema, table: TableSchema, part: str) -> None:
    metadata = schema.metadata or {}
    version = metadata.get(VERSION_KEY.encode(), b"none").decode()
    expected = str(table.version)
    if version != expected:
        raise RunTableError(
            f"{part} has schema version {version}, this version of offmanifold reads "
            f"{expected}: run the stage again or use the version that wrote it"
        )
    owner = metadata.get(STAGE_KEY.encode(), b"none").decode()
    if owner != table.name:
        raise RunTableError(f"{part} holds rows of stage {owner}, expected {table.name}")
