"""The report's tables: rows of values, and columns that say what the values are.

Page, terminal, CSV and Parquet each render the same values.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal, NamedTuple

from .summary import MISSING, Estimate, number, p_value_number

Kind = Literal["text", "count", "number", "estimate"]


class Written(NamedTuple):
    """A cell for readers: its value, and the interval, which is set smaller; empty without one."""

    value: str
    bounds: str = ""

    @property
    def text(self) -> str:
        """Both in one line."""
        return f"{self.value} {self.bounds}" if self.bounds else self.value


@dataclass(frozen=True)
class Format:
    """How a number is written: to so many significant ``digits``, or with so many ``decimals``.

    ``scale`` takes it from the summary's unit to the one that its header names, on the page and in
    files alike: 100 where that is percent. ``sign`` stands before it on the page. Of a p-value
    next to 0 it says no more than that.
    """

    digits: int = 3
    decimals: int | None = None
    scale: float = 1.0
    sign: str = ""
    is_p_value: bool = False

    def written(self, value: float | Estimate) -> Written:
        """The number as readers see it, a dash where it is nan."""
        if isinstance(value, Estimate):
            texts = value.scaled(self.scale).written(self.digits, self.decimals)
            return Written(self.sign + texts[0], texts[1])
        if self.is_p_value:
            return Written(p_value_number(value))
        return Written(self.sign + number(value * self.scale, self.digits, self.decimals))


THREE_DIGITS = Format()


@dataclass(frozen=True)
class Shown:
    """An estimate with a format of its own, in a column whose rows have different units."""

    estimate: Estimate
    format: Format


# What stands in a row; None is missing. A float may stand for an estimate that has no interval,
# and an estimate for its value where the column has no intervals.
Cell = str | int | float | Estimate | Shown | None
Bounds = tuple[float | None, float | None, float | None]


@dataclass(frozen=True)
class Column:
    """What the cells under a header hold, and how they are written.

    A column that no row fills is left out of a :func:`filled_table` unless it ``stays``. ``over``
    stands above the headers of neighbours that have the same, and before the header elsewhere.
    """

    header: str
    kind: Kind = "text"
    format: Format = THREE_DIGITS
    stays: bool = False
    over: str = ""

    @property
    def title(self) -> str:
        """The header with what stands over it: unique in a table, for files and the terminal."""
        return f"{self.over}, {self.header}" if self.over else self.header

    def written(self, cell: Cell) -> Written:
        """The cell for readers; a dash where it is missing."""
        if cell is None:
            return Written(MISSING)
        if isinstance(cell, Shown):
            return cell.format.written(cell.estimate)
        if isinstance(cell, str) or self.kind == "count":
            return Written(str(cell))
        if isinstance(cell, Estimate) and self.kind == "number":
            return self.format.written(cell.value)
        return self.format.written(cell)

    def letters(self, cell: Written, *, stacked: bool) -> float:
        """About how many letters wide a cell is, with the interval below its value or beside."""
        value, bounds = len(cell.value), _SMALLER * len(cell.bounds)
        if self.kind == "text":
            return min(value, max(_WORDS, *map(len, cell.value.split())))
        return max(value, bounds) if stacked else value + bounds

    def bounds(self, cell: Cell) -> Bounds:
        """A number's value and interval at full precision; None for what there is not of it."""
        shown = cell if isinstance(cell, Shown) else Shown(_estimate(cell), self.format)
        found = shown.estimate.scaled(shown.format.scale)
        value, low, high = (
            None if math.isnan(each) else each for each in (found.value, found.low, found.high)
        )
        return value, low, high


def counts(header: str) -> Column:
    """A column of whole numbers."""
    return Column(header, "count")


def numbers(
    header: str, digits: int = 3, *, decimals: int | None = None, scale: float = 1, sign: str = ""
) -> Column:
    """A column of numbers without intervals."""
    return Column(header, "number", Format(digits, decimals, scale, sign))


def p_values(header: str) -> Column:
    """A column of p-values."""
    return Column(header, "number", Format(is_p_value=True))


def estimates(
    header: str, digits: int = 3, *, decimals: int | None = None, scale: float = 1
) -> Column:
    """A column of estimates with their intervals."""
    return Column(header, "estimate", Format(digits, decimals, scale))


# Letters in a line of the page's tables, in one of its columns, and between two of a table's.
_LINE, _COLUMN, _COLUMN_GAP = 172, 54, 2
# And beside a figure of more than a column.
_BESIDE = 114
# Words of more letters than this may stand in several lines; intervals are set smaller.
_WORDS, _SMALLER = 24, 0.85

# How many images a row rests on.
N = counts("N")


@dataclass(frozen=True)
class Head:
    """A header's words, how many columns and rows it spans, and its column where it has one."""

    text: str
    columns: int = 1
    rows: int = 1
    index: int | None = None


@dataclass(frozen=True)
class Table:
    """A caption, columns, and rows with a cell for each; the first cell is the row's header.

    ``key`` names the table among those of its section, the same in every run: files are called by
    it.
    """

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    key: str = field(kw_only=True)

    @property
    def header_rows(self) -> list[list[Head]]:
        """The headers of the page, in one row, or in two where something stands over any."""
        above = list(_runs(self.columns))
        below = [Head(c.header, index=index) for index, c in enumerate(self.columns) if c.over]
        if not below:
            return [above]
        return [[head if head.index is None else replace(head, rows=2) for head in above], below]

    @property
    def is_narrow(self) -> bool:
        """Whether the table fits into a column of the page, beside text and figures."""
        return self._letters(stacked=True) <= _COLUMN

    @property
    def fits_beside(self) -> bool:
        """Whether the table fits beside a wide figure."""
        return self._letters(stacked=self.is_stacked) <= _BESIDE

    @property
    def is_stacked(self) -> bool:
        """Whether intervals go under their values: a row would be too long with them beside."""
        return self._letters(stacked=False) > (_COLUMN if self.is_narrow else _LINE)

    def _letters(self, *, stacked: bool) -> float:
        """Letters of the longest row."""
        written = self.written
        longest = [
            max(
                [
                    max(map(len, column.header.split()), default=0),
                    *(column.letters(row[index], stacked=stacked) for row in written),
                ]
            )
            for index, column in enumerate(self.columns)
        ]
        return sum(longest) + _COLUMN_GAP * len(longest)

    @property
    def written(self) -> list[list[Written]]:
        """Every row for readers."""
        return [
            [column.written(cell) for column, cell in zip(self.columns, row, strict=True)]
            for row in self.rows
        ]


def filled_table(
    caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]], *, key: str
) -> Table | None:
    """The table without the columns that no row fills; None where there are no rows."""
    if not rows:
        return None
    kept = [
        index
        for index, column in enumerate(columns)
        if column.stays or any(row[index] is not None for row in rows)
    ]
    return Table(
        caption,
        [columns[index] for index in kept],
        [[row[index] for index in kept] for row in rows],
        key=key,
    )


def twins_side_by_side(table: Table | None, told_apart_by: str) -> Table | None:
    """Rows that differ by one column, and in what follows it, as one row with values side by side.

    Each column after that one stands once for each of its texts, or once for all where the twins
    agree in every row. A table with a single text there stays as it is.
    """
    if table is None:
        return None
    at = [column.header for column in table.columns].index(told_apart_by)
    names = list(dict.fromkeys(row[at] for row in table.rows))
    if len(names) < 2:
        return table
    twins: dict[tuple[Cell, ...], dict[Cell, Sequence[Cell]]] = {}
    for row in table.rows:
        twins.setdefault(tuple(row[:at]), {})[row[at]] = row
    columns = list(table.columns[:at])
    rows = [list(head) for head in twins]
    for index, column in enumerate(table.columns[at + 1 :], at + 1):
        cells = [
            [found[name][index] if name in found else None for name in names]
            for found in twins.values()
        ]
        if _agree(cells):
            columns.append(column)
            cells = [[next((cell for cell in found if cell is not None), None)] for found in cells]
        else:
            columns += [
                replace(column, header=MISSING if name is None else str(name), over=column.header)
                for name in names
            ]
        for row_cells, found_cells in zip(rows, cells, strict=True):
            row_cells += found_cells
    return filled_table(table.caption, columns, rows, key=table.key)


def _runs(columns: Sequence[Column]) -> Iterator[Head]:
    """The upper row: what stands over neighbouring columns, and the other columns' headers."""
    for over, run in groupby(enumerate(columns), key=lambda numbered: numbered[1].over):
        found = list(run)
        if over:
            yield Head(over, columns=len(found))
        else:
            yield from (Head(column.header, index=index) for index, column in found)


def _agree(cells: Sequence[Sequence[Cell]]) -> bool:
    """Whether all values of a row are the same in every row, and some row has several."""
    known = [[cell for cell in found if cell is not None] for found in cells]
    return all(len(set(found)) <= 1 for found in known) and any(len(found) > 1 for found in known)


def _estimate(cell: Cell) -> Estimate:
    if isinstance(cell, Estimate):
        return cell
    if isinstance(cell, int | float):
        return Estimate(float(cell), math.nan, math.nan, 0, None)
    if cell is None:
        return Estimate(math.nan, math.nan, math.nan, 0, None)
    raise TypeError(f"{cell!r} is not a number")
