"""What a row that says ok has: its numbers, finite, and lists as long as they were planned to be.

A worker writes a row that has less as a failed one; a reader refuses a part that holds one.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ..core.search import number_of_ends
from ..core.settings.definition import build_settings
from ..core.settings.search import SearchSettings
from .schema import STATUS_OK, ListColumn, TableSchema

_SETTING = "setting:"


@dataclass(frozen=True)
class Sizes:
    """How long lists are that depend on what is audited.

    Args:
        values: Values of an image.
        residual: Values that are kept of a residual.
        latent: Values of a latent, by the generator's name.
    """

    values: int
    residual: int
    latent: Mapping[str, int]


def unsound_numbers(table: TableSchema, rows: pa.Table) -> dict[int, str]:
    """What is wrong with the numbers of rows that say ok, by the row; empty where nothing is."""
    said_ok = _says_ok(rows)
    found: dict[int, str] = {}
    for name in table.always:
        # Of what is null numpy makes NaN.
        numbers = rows[name].cast(pa.float64()).to_numpy()
        for row in np.flatnonzero(said_ok & ~np.isfinite(numbers)).tolist():
            found.setdefault(row, f"{name} is {rows[name][row].as_py()}")
    for column in table.lists:
        lists = rows[column.name].combine_chunks()
        if not column.optional:
            for row in np.flatnonzero(said_ok & np.asarray(lists.is_null())).tolist():
                found.setdefault(row, f"{column.name} is None")
        values = pc.list_flatten(lists)
        parents = pc.list_parent_indices(lists).to_numpy()
        undefined = np.zeros(len(rows), np.bool_)
        if column.undefined_at_one is not None:
            undefined = _lengths(rows, column.undefined_at_one) == 1
        wrong = np.asarray(values.is_null())
        if pa.types.is_floating(values.type) and column.numbers != "any":
            numbers = values.to_numpy(zero_copy_only=False)
            is_good = np.isfinite if column.numbers == "finite" else _is_number
            wrong = wrong | ~(is_good(numbers) | undefined[parents])
        for place in np.flatnonzero(wrong & said_ok[parents]).tolist():
            found.setdefault(int(parents[place]), f"{column.name} holds {values[place].as_py()}")
    return found


def unsound_length(
    table: TableSchema, rows: pa.Table, settings: Mapping[str, Any], sizes: Sizes
) -> str | None:
    """What is wrong with the length of a list of a row that says ok; None where nothing is.

    Args:
        table: what the rows are of.
        rows: with the columns of numbers and lists that the table says something of.
        settings: the shard's.
        sizes: the run's.
    """
    rows = rows.filter(pa.array(_says_ok(rows)))
    for column in table.lists:
        length = _lengths(rows, column.name)
        expected = _expected(column, rows, settings, sizes)
        wrong = np.flatnonzero(~np.isnan(length) & (length != expected))
        if len(wrong):
            row = wrong[0]
            return f"{column.name} has {length[row]:.0f} values, expected {expected[row]:g}"
    return None


def columns_of(table: TableSchema) -> list[str]:
    """The columns that the two above look at."""
    used = dict.fromkeys(["status", "generator", *table.always])
    for column in table.lists:
        used.update(dict.fromkeys([column.name, *_columns_in(column)]))
    return list(used)


def _columns_in(column: ListColumn) -> Iterator[str]:
    for factor in column.length or ():
        if isinstance(factor, str) and ":" not in factor:
            yield factor
    yield from column.over
    if column.undefined_at_one is not None:
        yield column.undefined_at_one


def _expected(
    column: ListColumn, rows: pa.Table, settings: Mapping[str, Any], sizes: Sizes
) -> NDArray[np.float64]:
    """How long the list of each row is to be."""
    length = _lengths(rows, column.name)
    if column.length is None:
        there = length[~np.isnan(length)]
        return np.full(len(rows), there[0] if len(there) else np.nan)
    if not column.length:
        return length
    expected = np.ones(len(rows))
    for factor in column.length:
        expected *= _factor(factor, rows, settings, sizes)
    for name in column.over:
        expected /= _lengths(rows, name)
    return expected - column.less


def _factor(
    factor: str | int, rows: pa.Table, settings: Mapping[str, Any], sizes: Sizes
) -> int | NDArray[np.float64]:
    if isinstance(factor, int):
        return factor
    if factor.startswith(_SETTING):
        value = settings.get(factor.removeprefix(_SETTING))
        # Without that setting no row has such a list, and NaN is the length of none.
        if value is None:
            return np.full(len(rows), np.nan)
        return value if isinstance(value, int) else len(value)
    if factor == "search:finalists":
        return number_of_ends(build_settings(SearchSettings, settings))
    if factor == "image:values":
        return sizes.values
    if factor == "image:residual":
        return sizes.residual
    if factor == "generator:latent":
        names = rows["generator"].to_pylist()
        return np.array([sizes.latent.get(str(name), math.nan) for name in names], np.float64)
    return _lengths(rows, factor)


def _lengths(rows: pa.Table, name: str) -> NDArray[np.float64]:
    """Of a column of lists their lengths, of another one its numbers; NaN where it is null."""
    column = rows[name]
    if pa.types.is_list(column.type):
        column = pc.list_value_length(column)
    numbers: NDArray[np.float64] = column.cast(pa.float64()).to_numpy()
    return numbers


def _says_ok(rows: pa.Table) -> NDArray[np.bool_]:
    return np.array([status == STATUS_OK for status in rows["status"].to_pylist()], np.bool_)


def _is_number(values: NDArray[Any]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = ~np.isnan(values)
    return found
