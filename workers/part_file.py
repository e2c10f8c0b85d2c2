"""Reading a part that may be damaged, or be made to do harm: refused before it is decoded.

Every byte that is decoded was held against the part's seal first (`seal`). Parts of versions before
the seal have none; they are read as far as they make sense.
"""

import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..cluster.storage import Storage, StorageError, StrangeFileError
from .command_lines import resuming
from .schema import TableSchema
from .seal import NAME_KEY, USUAL_END, DamageError, End, proved_end, wanted_end
from .shard import MOST_ITEMS, part_path

# Repetition costs a Parquet file nothing: a few kilobytes may stand for billions of values. A part
# of 64 images of 3 x 1024 x 1024 pixels has 0.2 billion.
_MOST_VALUES = 2**29
MOST_BYTES = 2**32
"""Of a part, as a file and in memory."""
# Names and a message in each row.
_MOST_TEXT_BYTES = 2**27
# Pieces with fewer bytes than this between them come in one request.
_HOLE_BYTES = 2**13
# A bucket answers after tens of milliseconds; a part of large images is some ten megabytes.
PARTS_AT_ONCE = 16
_PARTS_AHEAD = 16 * PARTS_AT_ONCE


class PartError(StorageError):
    """A file that stands where a part belongs is not one; the message names it and the remedy.

    Args:
        message: for people.
        part: its name in the run.
        problem: what is wrong with it, without the remedy.
        sealed: whether it shows that it had a seal. Then nothing was computed from the damage.
    """

    def __init__(
        self, message: str, part: str = "", problem: str = "", *, sealed: bool = False
    ) -> None:
        super().__init__(message)
        self.part = part
        self.problem = problem
        self.sealed = sealed


@dataclass(frozen=True)
class Part:
    """A file of a table, or a piece of a shard: what it is called in its run, and where that is."""

    name: str
    run: str

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return f"{self.run}/{self.name}"

    def error(self, problem: str, *, sealed: bool = False) -> PartError:
        """That it is no part, and what to do."""
        return PartError(
            f"{self.place} {problem}. `{resuming(self.run)}` moves it aside and computes it again",
            self.name,
            problem,
            sealed=sealed,
        )


def read_part(
    storage: Storage, table: TableSchema, shard_id: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """A part's rows, of those columns (all by default), with the part's own metadata.

    Fetches and checks the part as a whole: for those who want most of it.

    Raises:
        PartError: not as it was written, another part, another table than ``table``, or far too
            much of it.
        StorageError: it cannot be read.
    """
    part = Part(part_path(table.name, shard_id), storage.locate())
    return parse_part(_content(storage, part), table, part, columns)


def check_part(storage: Storage, table: TableSchema, shard_id: str) -> bool:
    """Reads every byte of a part and holds it against the seal; whether it has one.

    Raises:
        PartError: as :func:`read_part`.
        StorageError: it cannot be read.
    """
    part = Part(part_path(table.name, shard_id), storage.locate())
    return _proved(_content(storage, part), table, part).sealed


def read_columns(
    storage: Storage, table: TableSchema, shard_id: str, columns: Sequence[str]
) -> pa.Table:
    """As :func:`read_part`, but fetches nothing else than those columns: a part may have pixels."""
    part = Part(part_path(table.name, shard_id), storage.locate())

    def read() -> pa.Table:
        with opened_part(storage, part) as source:
            end = read_end(source, part)
            check_table(end, table, part)
            return decoded_columns(source, end, part, columns)

    return storage.wait_out(read)


@contextmanager
def opened_part(storage: Storage, part: Part) -> Iterator[pa.NativeFile]:
    """A part's file, open for reading columns of it.

    Raises:
        PartError: what has its name is no file.
        StorageError: it cannot be read.
    """
    try:
        with storage.columns(part.name) as (files, path), files.open_input_file(path) as source:
            yield source
    except StrangeFileError as error:
        raise part.error("is a link, a pipe or a device, not a regular file") from error


def _content(storage: Storage, part: Part) -> bytes:
    try:
        return storage.read(part.name, MOST_BYTES)
    except StrangeFileError as error:
        raise part.error(
            f"is a link, a pipe or a device, not a regular file, or has more than {MOST_BYTES:,} "
            "bytes"
        ) from error


def columns_or_damage(
    storage: Storage, table: TableSchema, shard_ids: Iterable[str], columns: Sequence[str]
) -> Iterator[pa.Table | PartError]:
    """:func:`read_columns` of one part after the other, in that order, several read at once.

    In the place of a part that is none there is what :func:`read_columns` would have raised.
    """

    def found(shard_id: str) -> pa.Table | PartError:
        try:
            return read_columns(storage, table, shard_id, columns)
        except PartError as error:
            return error

    left = iter(shard_ids)
    with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
        while some := list(islice(left, _PARTS_AHEAD)):
            yield from pool.map(found, some)


def read_columns_of_parts(
    storage: Storage, table: TableSchema, shard_ids: Iterable[str], columns: Sequence[str]
) -> Iterator[pa.Table]:
    """:func:`read_columns` of one part after the other, in that order; several are read at once."""
    for found in columns_or_damage(storage, table, shard_ids, columns):
        if isinstance(found, PartError):
            raise found
        yield found


def parse_part(
    content: bytes, table: TableSchema, part: Part, columns: Sequence[str] | None = None
) -> pa.Table:
    """As :func:`read_part`, of a part's bytes."""
    end = _proved(content, table, part)
    return _rows(io.BytesIO(content), end.footer, part, columns)


def read_end(source: pa.NativeFile, part: Part) -> End:
    """The end of a part, proved, of which no column is read yet.

    Raises:
        PartError: not a complete Parquet file, or not the part of that name.
    """
    size = source.size()
    tail = _read(source, max(size - USUAL_END, 0), size, part)
    try:
        while (wanted := wanted_end(tail, size)) > len(tail):
            tail = _read(source, size - wanted, size, part)
        end = proved_end(tail, size)
        found = end.metadata.get(NAME_KEY, part.name)
    except DamageError as error:
        raise part.error(
            f"is not a complete Parquet file ({error})", sealed=error.sealed
        ) from error
    if found != part.name:
        raise part.error(f"holds the rows of {found}", sealed=end.sealed)
    return end


def check_table(end: End, table: TableSchema, part: Part) -> None:
    """Refuses a part by what its footer says.

    Raises:
        PartError: not a part of the table, or far too much of it.
    """
    try:
        found = end.footer.schema.to_arrow_schema()
    except (pa.ArrowException, DamageError) as error:
        raise part.error(f"is not a complete Parquet file ({error})") from error
    if not found.equals(table.arrow):
        raise part.error(f"is not a table of stage {table.name}: {_differences(found, table)}")
    _refuse_excess(end.footer, end.size, part)


def decoded(content: bytes, end: End, part: Part) -> pa.Table:
    """All rows of a whole file, which was held against its end.

    Raises:
        PartError: it is damaged, or far too much.
    """
    _refuse_excess(end.footer, end.size, part)
    return _rows(io.BytesIO(content), end.footer, part, None)


def decoded_columns(
    source: pa.NativeFile, end: End, part: Part, columns: Sequence[str]
) -> pa.Table:
    """Those columns of a part with that end; nothing else is fetched, nothing unproved decoded.

    Raises:
        PartError: it is damaged.
    """
    if not end.sealed:
        return _rows(source, end.footer, part, columns)
    # Untouched pages of it take no memory.
    proved = np.zeros(end.size, np.uint8)
    edges = end.edges
    try:
        for first, last in _runs(end.pieces_of(list(columns)), edges):
            start = edges[first]
            content = _read(source, start, edges[last + 1], part)
            for piece in range(first, last + 1):
                end.prove(piece, content[edges[piece] - start : edges[piece + 1] - start])
            proved[start : start + len(content)] = np.frombuffer(content, np.uint8)
    except DamageError as error:
        raise part.error(f"is damaged ({error})", sealed=True) from error
    return _rows(pa.BufferReader(pa.py_buffer(proved.data)), end.footer, part, columns)


def _proved(content: bytes, table: TableSchema, part: Part) -> End:
    """The end of a whole part, all of which was held against it."""
    end = read_end(pa.BufferReader(content), part)
    check_table(end, table, part)
    try:
        if end.sealed:
            end.prove_all(content)
    except DamageError as error:
        raise part.error(f"is damaged ({error})", sealed=True) from error
    return end


def _read(source: pa.NativeFile, start: int, stop: int, part: Part) -> bytes:
    source.seek(start)
    found = source.read(stop - start)
    if len(found) != stop - start:
        raise part.error("is damaged (it became shorter while it was read)")
    return found


def _runs(pieces: Sequence[int], edges: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Pieces in order as few runs (first, last), with the small ones that lie between them."""
    if not pieces:
        return
    first = pieces[0]
    for piece, following in pairwise([*pieces, len(edges)]):
        if following == len(edges) or edges[following] - edges[piece + 1] > _HOLE_BYTES:
            yield first, piece
            first = following


def _rows(
    source: io.BytesIO | pa.NativeFile,
    footer: pq.FileMetaData,
    part: Part,
    columns: Sequence[str] | None,
) -> pa.Table:
    texts = _bulky_texts(footer, columns)
    try:
        # The columns that are asked for come in few requests, not in one for each.
        file = pq.ParquetFile(source, metadata=footer, pre_buffer=True, read_dictionary=texts)
        found = file.read(columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        _raise_the_stores_own(error)
        raise part.error(f"is damaged ({error})") from error
    if not texts:
        return found
    size = sum(_text_bytes(chunk) for column in found.columns for chunk in column.chunks)
    if size > _MOST_TEXT_BYTES:
        raise part.error(f"holds {size:,} bytes of text; a part has at most {_MOST_TEXT_BYTES:,}")
    plain = footer.schema.to_arrow_schema()
    schema = pa.schema([plain.field(name) for name in found.schema.names])
    return found.cast(schema).replace_schema_metadata(found.schema.metadata)


def _bulky_texts(footer: pq.FileMetaData, columns: Sequence[str] | None) -> list[str]:
    """The columns of text that may be too much once they are written out.

    One text that is there once in the file may be that of all rows. Such columns are read as
    references to what is there once, from which their size can be told.
    """
    chunks = [
        chunk
        for chunk in _chunks(footer)
        if chunk.physical_type == "BYTE_ARRAY"
        and (columns is None or chunk.path_in_schema.partition(".")[0] in columns)
    ]
    if sum(chunk.num_values * chunk.total_uncompressed_size for chunk in chunks) < _MOST_TEXT_BYTES:
        return []
    return sorted({chunk.path_in_schema for chunk in chunks})


def _text_bytes(values: Any) -> int:
    """What texts that are read as references take once they are written out; 0 for numbers."""
    while pa.types.is_list(values.type):
        values = values.flatten()
    if not pa.types.is_dictionary(values.type):
        return 0
    lengths = pc.binary_length(values.dictionary).take(values.indices)
    return int(pc.sum(lengths.cast(pa.int64())).as_py() or 0)


def _raise_the_stores_own(error: Exception) -> None:
    """Raises again what says nothing of the content: a disk's or a service's failure to give it."""
    # Arrow has one kind of error for both; only a disk's has a number.
    if isinstance(error, OSError) and (error.errno is not None or "AWS Error" in str(error)):
        raise error


def _refuse_excess(footer: pq.FileMetaData, size: int, part: Part) -> None:
    chunks = _chunks(footer)
    values = sum(chunk.num_values for chunk in chunks)
    claimed = max(size, sum(chunk.total_uncompressed_size for chunk in chunks))
    text = sum(
        chunk.total_uncompressed_size for chunk in chunks if chunk.physical_type == "BYTE_ARRAY"
    )
    for found, most, what in (
        (values, _MOST_VALUES, "values"),
        (claimed, MOST_BYTES, "bytes"),
        (text, _MOST_TEXT_BYTES, "bytes of text"),
        (footer.num_rows, MOST_ITEMS, "rows"),
    ):
        if found > most:
            raise part.error(f"claims to hold {found:,} {what}; a part has at most {most:,}")


def _chunks(footer: pq.FileMetaData) -> list[pq.ColumnChunkMetaData]:
    return [
        footer.row_group(group).column(column)
        for group in range(footer.num_row_groups)
        for column in range(footer.num_columns)
    ]


def _differences(found: pa.Schema, table: TableSchema) -> str:
    for field in table.arrow:
        if field.name not in found.names:
            return f"it has no column {field.name}"
        if found.field(field.name).type != field.type:
            return f"its {field.name} is {found.field(field.name).type}, expected {field.type}"
    return f"its columns are {', '.join(found.names)}"
