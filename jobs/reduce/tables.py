"""Reads a stage's parts, only the columns that are needed, and checks them against each other."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from ...cluster.storage import Storage
from ...workers.part_file import PARTS_AT_ONCE
from ...workers.schema import KEY_COLUMNS, STAGE_KEY, STATUS_OK, VERSION_KEY, TableSchema
from ...workers.shard import PART_SUFFIX
from .table_schemas import SCHEMAS

NO_CLASS = -1

# An item is an image under a condition, and in these tables, what was done to it.
_ITEM = ("generator", "condition", "image_id")


class RunTableError(ValueError):
    """A run's tables contradict themselves, the spec or this version's schema."""


@dataclass(frozen=True)
class StageTable:
    """All parts of a stage as one table, of which only the columns asked for are read."""

    storage: Storage
    stage: str
    parts: Sequence[str]

    def read(self, columns: Sequence[str], where: pc.Expression | None = None) -> pa.Table:
        """Those columns, of the rows for which ``where`` holds.

        Raises:
            RunTableError: a part of another schema version or of another stage.
        """
        with self._dataset() as dataset:
            return dataset.to_table(
                columns=list(columns), filter=where, fragment_readahead=PARTS_AT_ONCE
            )

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.RecordBatch]:
        """Those columns, at most so many rows at a time.

        Raises:
            RunTableError: as :meth:`read`.
        """
        with self._dataset() as dataset:
            yield from dataset.to_batches(columns=list(columns), batch_size=rows)

    @contextmanager
    def _dataset(self) -> Iterator[ds.Dataset]:
        table = SCHEMAS[self.stage]
        with self.storage.columns() as (files, folder):
            paths = [f"{folder}/{self.stage}/{part}" for part in self.parts]
            dataset = ds.dataset(paths, schema=table.arrow, format="parquet", filesystem=files)
            # The fragments keep the footers that this reads for the reading of their columns.
            fragments = list(dataset.get_fragments())
            with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
                schemas = pool.map(lambda fragment: fragment.physical_schema, fragments)
                for part, schema in zip(self.parts, schemas, strict=True):
                    _check_part(schema, table, self.storage.locate(f"{self.stage}/{part}"))
            yield dataset


def stage_table(run_dir: Storage, stage: str) -> StageTable | None:
    """The stage's parts as one table; None where the stage has none."""
    names = run_dir.list_names(stage)
    parts = [name for name in names if name.startswith("part-") and name.endswith(PART_SUFFIX)]
    return StageTable(run_dir, stage, parts) if parts else None


def read_stage(run_dir: Storage, stage: str, columns: Sequence[str] = ()) -> pd.DataFrame | None:
    """Key columns, ``status`` and ``columns`` of a stage, one row an item; None if it has none.

    Rows are sorted by item, so that no sum and no resampling of them depends on how the parts are
    named, and so on where a run and its inputs lie.
    A missing ``condition`` or ``label`` is -1; a column of lists holds arrays. Where a table has
    several rows an item, the columns that tell them apart come with them.

    Raises:
        RunTableError: parts that do not belong, or an item that is there twice.
    """
    stored = stage_table(run_dir, stage)
    if stored is None:
        return None
    repeated_by = SCHEMAS[stage].repeated_by
    wanted = dict.fromkeys([*KEY_COLUMNS, "status", *repeated_by, *columns])
    frame: pd.DataFrame = stored.read(list(wanted)).to_pandas()
    for key in ("condition", "label"):
        frame[key] = frame[key].fillna(NO_CLASS).astype(np.int64)
    _refuse_duplicates(frame, repeated_by, run_dir.locate(stage))
    return frame.sort_values([*_ITEM, *repeated_by], ignore_index=True)


def succeeded(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose computation succeeded."""
    return frame[frame["status"] == STATUS_OK]


def list_means(lists: "pd.Series[float]") -> np.ndarray:
    """Mean of each row's list: [rows]."""
    return np.array([np.mean(entries) for entries in lists], dtype=np.float64)


def _check_part(schema: pa.Schema, table: TableSchema, part: str) -> None:
    metadata = schema.metadata or {}
    version = metadata.get(VERSION_KEY.encode(), b"none").decode()
    if version != str(table.version):
        raise RunTableError(
            f"{part} has schema version {version}, this version of offmanifold reads "
            f"{table.version}: run the stage again or use the version that wrote it"
        )
    owner = metadata.get(STAGE_KEY.encode(), b"none").decode()
    if owner != table.name:
        raise RunTableError(f"{part} holds rows of stage {owner}, expected {table.name}")


def _refuse_duplicates(frame: pd.DataFrame, repeated_by: tuple[str, ...], folder: str) -> None:
    # A row that failed does not say which of an item's repetitions it is.
    told_apart = frame.dropna(subset=list(repeated_by)) if repeated_by else frame
    twice = told_apart[told_apart.duplicated([*_ITEM, *repeated_by])]
    if len(twice):
        first = twice.iloc[0]
        raise RunTableError(
            f"{folder}: {len(twice)} rows are there twice, the first for image "
            f"{first['image_id']} under generator {first['generator']}, condition "
            f"{first['condition']}: every item has exactly one row"
        )
