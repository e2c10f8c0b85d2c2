"""A table as files: CSV for people and spreadsheets, Parquet for programs."""

import base64
import io
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from .table import Cell, Column, Table

# Arrow's arrays, subscripted only where types are checked.
Arrays = dict[str, "pa.Array[Any]"]

# What makes a spreadsheet take a cell of text for a formula, and run it.
_FORMULA = r"^([=+\-@\t\r])"


def arrow_table(table: Table) -> pa.Table:
    """The table's values at full precision, in the units that its headers name.

    Columns are named by their titles. Counts are int64, numbers float64; estimates are followed by
    ``<title>, low`` and ``<title>, high``. What is missing is null. The metadata have
    ``offmanifold.caption``.
    """
    arrays: Arrays = {}
    for index, column in enumerate(table.columns):
        name = _unused(column.title, arrays)
        arrays |= _arrays(name, column, [row[index] for row in table.rows])
    return pa.table(arrays, metadata={"offmanifold.caption": table.caption})


def write_table_files(table: pa.Table, stem: Path) -> list[Path]:
    """Writes ``<stem>.csv`` and ``<stem>.parquet``, in place of files of these names.

    In the CSV a text that a spreadsheet would run as a formula starts with an apostrophe.
    """
    files = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("csv", "parquet")]
    files[0].write_bytes(csv_content(table))
    pq.write_table(table, files[1])
    return files


def csv_content(table: pa.Table) -> bytes:
    """The table as CSV; a text that a spreadsheet would run as a formula gets an apostrophe."""
    content = io.BytesIO()
    csv.write_csv(_without_formulas(table), content)
    return content.getvalue()


def csv_uri(table: Table) -> str:
    """The table's CSV as a data URI, so that a page can hand it out without another file."""
    content = base64.b64encode(csv_content(arrow_table(table))).decode()
    return f"data:text/csv;charset=utf-8;base64,{content}"


def _arrays(name: str, column: Column, cells: list[Cell]) -> Arrays:
    if column.kind == "text":
        return {name: pa.array(cells, pa.string())}
    if column.kind == "count":
        return {name: pa.array(cells, pa.int64())}
    found = [column.bounds(cell) for cell in cells]
    names = [name] if column.kind == "number" else [name, f"{name}, low", f"{name}, high"]
    return {
        each: pa.array([bounds[position] for bounds in found], pa.float64())
        for position, each in enumerate(names)
    }


def _unused(header: str, names: dict[str, Any]) -> str:
    """The header, counted on where an earlier column has it: ``so``, ``so (2)``."""
    name, count = header, 1
    while name in names:
        count += 1
        name = f"{header} ({count})"
    return name


def _without_formulas(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            harmless = pc.replace_substring_regex(table.column(index), _FORMULA, r"'\1")
            table = table.set_column(index, field, harmless)
    return table
