"""The report's tables as columns of numbers: an interval becomes three of them."""

import math
import re
from typing import Any

import pyarrow as pa

from .summary import MISSING, NO_BREAK
from .tables import Table

# Counts; every other column of numbers is of floats, whatever its numbers happen to be.
_COUNTS = "N"
_NUMBER = r"[−-]?(?:∞|[\d,]+(?:\.\d+)?(?:e[−-]?\d+)?)"
_CELL = re.compile(rf"±?({_NUMBER})(?: \[({_NUMBER}),[ {NO_BREAK}]({_NUMBER})\])?")

Bounds = tuple[float | None, float | None, float | None]


def arrow_table(table: Table) -> pa.Table:
    """The table with the numbers that it shows, as rounded as it shows them.

    A column whose cells are all numbers is of float64 (N of int64), and those with intervals are
    followed by ``<header>, low`` and ``<header>, high``; a dash is null. Other columns are text, as
    is the first one, which names the rows. The metadata have ``offmanifold.caption``.
    """
    names: list[str] = []
    columns: list[pa.Array[Any]] = []
    for index, header in enumerate(table.headers):
        cells = [row[index] for row in table.rows]
        parsed = [_parsed(cell) for cell in cells]
        name = _unused(header, names)
        numeric = [bounds for bounds in parsed if bounds is not None]
        if index == 0 or len(numeric) < len(cells):
            names.append(name)
            columns.append(pa.array(cells, pa.string()))
            continue
        kind = pa.int64() if header == _COUNTS else pa.float64()
        names.append(name)
        columns.append(pa.array([value for value, _, _ in numeric], kind))
        if any(low is not None for _, low, _ in numeric):
            for position, bound in ((1, "low"), (2, "high")):
                names.append(f"{name}, {bound}")
                columns.append(pa.array([bounds[position] for bounds in numeric], pa.float64()))
    return pa.Table.from_arrays(columns, names=names).replace_schema_metadata(
        {"offmanifold.caption": table.caption}
    )


def _parsed(cell: str) -> Bounds | None:
    """Value and bounds of a cell, nothing for a dash; None if it is no number."""
    if cell in (MISSING, ""):
        return None, None, None
    found = _CELL.fullmatch(cell)
    if found is None:
        return None
    value, low, high = (None if text is None else _number(text) for text in found.groups())
    return value, low, high


def _number(text: str) -> float:
    plain = text.replace("−", "-").replace(",", "")
    return math.copysign(math.inf, -1 if plain[0] == "-" else 1) if "∞" in plain else float(plain)


def _unused(header: str, names: list[str]) -> str:
    """The header, counted on where an earlier column has it: ``so``, ``so (2)``."""
    name, count = header, 1
    while name in names:
        count += 1
        name = f"{header} ({count})"
    return name
