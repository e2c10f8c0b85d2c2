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
from ...workers.schema import SCHEMAS, schema_version
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
    stage: str
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
            read = self._reader(files, f"{folder}/{self.stage}", columns)
            for start in range(0, len(names), PARTS_AT_ONCE):
                yield from pool.map(read, names[start : start + PARTS_AT_ONCE])

    def _reader(
        self, files: FileSystem, folder: str, columns: Sequence[str]
    ) -> Callable[[str], pa.Table]:
        def read(name: str) -> pa.Table:
            known, place = self._footers.get(name), self.storage.locate(f"{self.stage}/{name}")
            footer = None if known is None else pq.read_metadata(io.BytesIO(known))
            with files.open_input_file(f"{folder}/{name}") as file:
                part = open_part(file, place, footer)
                if footer is None:
                    _check_version(part.schema_arrow, self.stage, place)
                    check_part(part, self.stage, place)
                    self._footers[name] = _stored(part.metadata)
                return part_rows(part, place, columns)

        return read


def stage_parts(storage: Storage, stage: str) -> StageParts | None:
    """The parts that a stage of the run at ``storage`` has now; None where it has none."""
    names = storage.list_names(stage)
    parts = [name for name in names if name.startswith("part-") and name.endswith(PART_SUFFIX)]
    return StageParts(storage, stage, parts) if parts else None


def list_columns(stage: str) -> list[str]:
    """The columns of a stage that hold a list in each row: pixels, latents, chains."""
    return [column.name for column in SCHEMAS[stage] if pa.types.is_list(column.type)]


def scalar_columns(stage: str) -> list[str]:
    """The columns of a stage that are no lists, the key columns first."""
    lists = list_columns(stage)
    return [name for name in SCHEMAS[stage].names if name not in lists]


def _stored(footer: pq.FileMetaData) -> bytes:
    sink = io.BytesIO()
    footer.write_metadata_file(sink)
    return sink.getvalue()


def _check_version(schema: pa.Schema, stage: str, part: str) -> None:
    metadata = schema.metadata or {}
    version = metadata.get(b"offmanifold.schema_version", b"none").decode()
    expected = str(schema_version(stage))
    if version != expected:
        raise RunTableError(
            f"{part} has schema version {version}, this version of offmanifold reads "
            f"{expected}: run the stage again or use the version that wrote it"
        )
    owner = metadata.get(b"offmanifold.stage", b"none").decode()
    if owner != stage:
        raise RunTableError(f"{part} holds rows of stage {owner}, expected {stage}")
