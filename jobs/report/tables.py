"""The report's tables: rows of text out of the summary."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .summary import MISSING, Estimate


@dataclass(frozen=True)
class Table:
    """A caption, column headers, and rows whose first cell is their header.

    A number stands in its cell as ``value`` or ``value [low, high]``. ``key`` names the table
    among those of its section, the same in every run: files are called by it.
    """

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    key: str = field(kw_only=True)


def text(estimate: Estimate | None) -> str:
    """The estimate, or a dash where there is none."""
    return MISSING if estimate is None else estimate.text()
