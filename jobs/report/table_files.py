"""A table as files: CSV for people and spreadsheets, Parquet for programs."""

from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

# What makes a spreadsheet take a cell of text for a formula, and run it.
_FORMULA = r"^([=+\-@\t\r])"


def write_table_files(table: pa.Table, stem: Path) -> list[Path]:
    """Writes ``<stem>.csv`` and ``<stem>.parquet``, in place of files of these names.

    In the CSV a text that a spreadsheet would run as a formula starts with an apostrophe.
    """
    files = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("csv", "parquet")]
    csv.write_csv(_without_formulas(table), files[0])
    pq.write_table(table, files[1])
    return files


def _without_formulas(table: pa.Table) -> pa.Table:
    for index, field in enumerate(table.schema):
        if pa.types.is_string(field.type):
            harmless = pc.replace_substring_regex(table.column(index), _FORMULA, r"'\1")
            table = table.set_column(index, field, harmless)
    return table
