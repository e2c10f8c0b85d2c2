"""A run's tables: each listed once, each column read once, and checked against each other."""

from collections import OrderedDict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from ...cluster.storage import Storage
from ...workers.schema import KEY_COLUMNS, STATUS_OK, TableSchema
from .parts import RunTableError, StageParts, list_columns, scalar_columns, stage_parts

NO_CLASS = -1

# Of lists that are kept: latents, residuals, chains.
LIST_BYTES = 2**30

# An item is an image under a condition, and in these tables, what was done to it.
ITEM = ["generator", "condition", "image_id"]


class RunTables:
    """The tables of a run, for all who read them: reducers, report and comparison.

    Only parts of the plan count. At a table's first use every column that is no list is read, in
    one scan, and stays. Columns of lists are read when they are asked for, and kept up to a number
    of bytes: those that were not asked for longest go first.

    Args:
        storage: the run directory.
        schemas: of every table that a run may have, in the order of the stages.
        planned: the shards of every stage that the run has, whose parts are all there. Without it
            every part counts, for tables that no plan describes.
        list_bytes: of the columns of lists that are kept. A longer one is read every time.
    """

    def __init__(
        self,
        storage: Storage,
        schemas: Iterable[TableSchema],
        list_bytes: int = LIST_BYTES,
        planned: Mapping[str, Iterable[str]] | None = None,
    ) -> None:
        self._storage = storage
        self._schemas = {table.name: table for table in schemas}
        self._list_bytes = list_bytes
        self._planned = planned
        self._parts: dict[str, StageParts | None] = {}
        self._tables: dict[str, _Table] = {}
        self._lists: OrderedDict[tuple[str, str], pa.ChunkedArray[Any]] = OrderedDict()

    def locate(self, stage: str = "") -> str:
        """Where the run, or a table of it, is: a path or an address, for people."""
        return self._storage.locate(stage)

    @property
    def names(self) -> list[str]:
        """Every table that a run may have, in the order of the stages."""
        return list(self._schemas)

    def has(self, stage: str) -> bool:
        """Whether the stage has any part."""
        return self._parts_of(stage) is not None

    def read(self, stage: str, columns: Sequence[str] = ()) -> pd.DataFrame | None:
        """Key columns, ``status`` and ``columns`` of a stage, one row an item; None if it has none.

        Rows are sorted by item, so that no sum and no resampling of them depends on how the parts
        are named, and so on where a run and its inputs lie.
        A missing ``condition`` or ``label`` is -1; a column of lists holds arrays. Where an item
        has several rows, the columns that tell them apart come too. The frame is a copy: what is
        done to it, or to its arrays, reaches no other reader.

        Raises:
            RunTableError: parts that do not belong, or an item that is there twice.
            PartError: a part that is damaged.
        """
        found = self._load(stage, columns)
        if found is None:
            return None
        frame = found.table.frame[_wanted(found.table.parts.table, columns, found.lists)].copy()
        for name, values in found.lists.items():
            frame[name] = values.to_pandas().to_numpy()[found.table.order]
        return frame

    def read_images(
        self, stage: str, image_ids: Collection[str], columns: Sequence[str]
    ) -> pd.DataFrame:
        """As :meth:`read`, of a few images, and out of the parts that hold them alone.

        Raises:
            RunTableError: also where the stage has no part.
        """
        found = self._load(stage, [])
        if found is None:
            raise RunTableError(f"{self.locate(stage)} has no part: the run is not complete")
        table = found.table
        schema = table.parts.table
        lists = _lists_among(schema, columns)
        chosen = np.flatnonzero(table.frame["image_id"].isin(list(image_ids)))
        frame = table.frame[_wanted(schema, columns, lists)].iloc[chosen].reset_index(drop=True)
        if all((stage, name) in self._lists for name in lists):
            kept = {name: self._lists[stage, name].take(table.order[chosen]) for name in lists}
        else:
            values = table.rows(chosen, lists)
            kept = {name: values[name] for name in lists}
        return frame.assign(**{name: kept[name].to_pandas().to_numpy() for name in lists})

    def read_parts(self, stage: str, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Those columns of a stage part by part, of which none is kept; nothing if it has none.

        Raises:
            RunTableError: a part that does not belong.
            PartError: a part that is damaged.
        """
        parts = self._parts_of(stage)
        return iter(()) if parts is None else parts.read(columns)

    def _parts_of(self, stage: str) -> StageParts | None:
        if stage not in self._parts:
            planned = None if self._planned is None else self._planned.get(stage, ())
            self._parts[stage] = stage_parts(self._storage, self._schemas[stage], planned)
        return self._parts[stage]

    def _load(self, stage: str, columns: Sequence[str]) -> "_Read | None":
        """The table, and those of the columns that are lists: in one scan what is not in memory."""
        parts = self._parts_of(stage)
        if parts is None:
            return None
        lists = _lists_among(parts.table, columns)
        missing = [name for name in lists if (stage, name) not in self._lists]
        scalars = [] if stage in self._tables else scalar_columns(parts.table)
        found = {name: self._lists[stage, name] for name in lists if name not in missing}
        if scalars or missing:
            scanned = list(parts.read([*scalars, *missing]))
            rows = pa.concat_tables(scanned)
            if scalars:
                counts = np.array([part.num_rows for part in scanned])
                self._tables[stage] = _sorted_table(parts, rows.select(scalars), counts)
            found |= {name: rows[name] for name in missing}
        for name in lists:
            self._keep(stage, name, found[name])
        return _Read(self._tables[stage], found)

    def _keep(self, stage: str, name: str, values: "pa.ChunkedArray[Any]") -> None:
        if values.nbytes <= self._list_bytes:
            self._lists[stage, name] = values
            self._lists.move_to_end((stage, name))
        while sum(kept.nbytes for kept in self._lists.values()) > self._list_bytes:
            self._lists.popitem(last=False)


@dataclass(frozen=True)
class _Table:
    """A stage's columns that are no lists, sorted by item, and where their rows lie.

    Row i of ``frame`` is row ``order[i]`` of the parts one after the other, of which each has
    ``counts`` rows.
    """

    parts: StageParts
    frame: pd.DataFrame
    order: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]

    def rows(self, chosen: npt.NDArray[np.int64], columns: Sequence[str]) -> pa.Table:
        """Columns of these rows of the frame, read from the parts that hold them."""
        stored = self.order[chosen]
        ends = np.cumsum(self.counts)
        part_of = np.searchsorted(ends, stored, side="right")
        held_by = np.unique(part_of)
        pieces = [
            part.take(np.sort(stored[part_of == at]) - (ends - self.counts)[at])
            for at, part in zip(held_by, self.parts.read(columns, held_by.tolist()), strict=True)
        ]
        schema = self.parts.table.arrow
        none = pa.schema([schema.field(name) for name in columns]).empty_table()
        return pa.concat_tables([none, *pieces]).take(np.argsort(np.argsort(stored)))


@dataclass(frozen=True)
class _Read:
    """A table and those of its columns of lists that were asked for, in the order of the parts."""

    table: _Table
    lists: "dict[str, pa.ChunkedArray[Any]]"


def succeeded(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows whose computation succeeded."""
    return frame[frame["status"] == STATUS_OK]


def list_means(lists: "pd.Series[float]") -> np.ndarray:
    """Mean of each row's list: [rows]."""
    return np.array([np.mean(entries) for entries in lists], dtype=np.float64)


def _lists_among(table: TableSchema, columns: Sequence[str]) -> list[str]:
    lists = list_columns(table)
    return [name for name in columns if name in lists]


def _wanted(table: TableSchema, columns: Sequence[str], lists: Collection[str]) -> list[str]:
    """The columns of a frame but for its lists."""
    wanted = dict.fromkeys([*KEY_COLUMNS, "status", *table.repeated_by, *columns])
    return [name for name in wanted if name not in lists]


def _sorted_table(parts: StageParts, rows: pa.Table, counts: npt.NDArray[np.int64]) -> _Table:
    repeated_by = parts.table.repeated_by
    frame: pd.DataFrame = rows.to_pandas()
    for key in ("condition", "label"):
        frame[key] = frame[key].fillna(NO_CLASS).astype(np.int64)
    _refuse_duplicates(frame, repeated_by, parts.storage.locate(parts.table.name))
    frame = frame.sort_values([*ITEM, *repeated_by])
    order = frame.index.to_numpy(np.int64)
    return _Table(parts, frame.reset_index(drop=True), order, counts)


def _refuse_duplicates(frame: pd.DataFrame, repeated_by: tuple[str, ...], folder: str) -> None:
    # A row that failed does not say which of an item's repetitions it is.
    told_apart = frame.dropna(subset=list(repeated_by)) if repeated_by else frame
    twice = told_apart[told_apart.duplicated([*ITEM, *repeated_by])]
    if len(twice):
        first = twice.iloc[0]
        raise RunTableError(
            f"{folder}: {len(twice)} rows occur twice, the first for image {first['image_id']} "
            f"under generator {first['generator']}, condition {first['condition']}: every item "
            "has exactly one row"
        )
