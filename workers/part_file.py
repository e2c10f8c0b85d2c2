"""Reading a part that may be damaged, or be made to do harm: refused before it is decoded."""

import io
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq

from ..cluster.storage import Storage, StorageError
from .schema import TableSchema
from .shard import part_path

# Repetition costs a Parquet file nothing: a few kilobytes may stand for billions of values. A part
# of 64 images of 3 x 1024 x 1024 pixels has 0.2 billion.
_MOST_VALUES = 2**29
_MOST_BYTES = 2**32
# A bucket answers after tens of milliseconds; a part of large images is some ten megabytes.
PARTS_AT_ONCE = 16
_PARTS_AHEAD = 16 * PARTS_AT_ONCE


class PartError(StorageError):
    """A file that stands where a part belongs is not one; the message names it and the remedy."""


def read_part(
    storage: Storage, table: TableSchema, shard_id: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """A part's rows, of those columns (all by default), with the part's own metadata.

    Fetches the part as a whole: for those who want most of it.

    Raises:
        PartError: not a complete Parquet file, another table than ``table``, or far too much of it.
        StorageError: it cannot be read.
    """
    name = part_path(table.name, shard_id)
    return parse_part(storage.read(name), table, storage.locate(name), columns)


def read_columns(
    storage: Storage, table: TableSchema, shard_id: str, columns: Sequence[str]
) -> pa.Table:
    """As :func:`read_part`, but fetches nothing else than those columns: a part may have pixels."""
    name = part_path(table.name, shard_id)
    with storage.columns(name) as (files, path), files.open_input_file(path) as source:
        return _parse(source, table, storage.locate(name), columns)


def read_columns_of_parts(
    storage: Storage, table: TableSchema, shard_ids: Iterable[str], columns: Sequence[str]
) -> Iterator[pa.Table]:
    """:func:`read_columns` of one part after the other, in that order; several are read at once."""
    left = iter(shard_ids)
    with ThreadPoolExecutor(PARTS_AT_ONCE) as pool:
        while some := list(islice(left, _PARTS_AHEAD)):
            yield from pool.map(
                lambda shard_id: read_columns(storage, table, shard_id, columns), some
            )


def parse_part(
    content: bytes, table: TableSchema, name: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """As :func:`read_part`, of bytes that ``name`` names in errors."""
    return _parse(io.BytesIO(content), table, name, columns)


def _parse(
    source: io.BytesIO | pa.NativeFile,
    table: TableSchema,
    name: str,
    columns: Sequence[str] | None,
) -> pa.Table:
    file = open_part(source, name)
    check_part(file, table, name)
    return part_rows(file, name, columns)


def open_part(
    source: io.BytesIO | pa.NativeFile, name: str, footer: pq.FileMetaData | None = None
) -> pq.ParquetFile:
    """A Parquet file of which no column is read yet; a ``footer`` that is known is not fetched.

    Raises:
        PartError: not a complete Parquet file.
    """
    try:
        # The columns that are asked for come in few requests, not in one for each.
        file = pq.ParquetFile(source, metadata=footer, pre_buffer=True)
        _ = file.schema_arrow
    except (pa.ArrowException, OSError) as error:
        _raise_the_stores_own(error)
        raise PartError(_refusal(name, f"is not a complete Parquet file ({error})")) from error
    return file


def check_part(file: pq.ParquetFile, table: TableSchema, name: str) -> None:
    """Refuses an opened part by what its footer says.

    Raises:
        PartError: not a part of the table, or far too much of it.
    """
    found = file.schema_arrow
    if not found.equals(table.arrow):
        raise PartError(
            _refusal(name, f"is not a table of stage {table.name}: {_differences(found, table)}")
        )
    _refuse_excess(file.metadata, name)


def part_rows(file: pq.ParquetFile, name: str, columns: Sequence[str] | None) -> pa.Table:
    """An opened part's rows, of those columns (None for all).

    Raises:
        PartError: it is damaged.
    """
    try:
        return file.read(columns=None if columns is None else list(columns))
    except (pa.ArrowException, OSError) as error:
        _raise_the_stores_own(error)
        raise PartError(_refusal(name, f"is damaged ({error})")) from error


def _raise_the_stores_own(error: Exception) -> None:
    """Raises again what says nothing of the content: a disk's or a service's failure to give it."""
    # Arrow has one kind of error for both; only a disk's has a number.
    if isinstance(error, OSError) and (error.errno is not None or "AWS Error" in str(error)):
        raise error


def _refuse_excess(metadata: pq.FileMetaData, name: str) -> None:
    chunks = [
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    ]
    values = sum(chunk.num_values for chunk in chunks)
    size = sum(chunk.total_uncompressed_size for chunk in chunks)
    if values > _MOST_VALUES or size > _MOST_BYTES:
        raise PartError(
            _refusal(
                name,
                f"claims to hold {values:,} values in {size:,} bytes; a part has at most "
                f"{_MOST_VALUES:,} in {_MOST_BYTES:,}",
            )
        )


def _differences(found: pa.Schema, table: TableSchema) -> str:
    for field in table.arrow:
        if field.name not in found.names:
            return f"it has no column {field.name}"
        if found.field(field.name).type != field.type:
            return f"its {field.name} is {found.field(field.name).type}, expected {field.type}"
    return f"its columns are {', '.join(found.names)}"


def _refusal(name: str, problem: str) -> str:
    return f"{name} {problem}. Move it out of the run, then run the same command again"
