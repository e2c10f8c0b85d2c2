"""A section of the report, and what sections are made from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, TypeVar

import pyarrow as pa

from ..reduce.context import ReduceContext
from .conclusion import Concluder
from .figure import Figure
from .pictures import Render
from .table import Table
from .view import View

Part = TypeVar("Part", Figure, Table)


@dataclass(frozen=True)
class ReportContext:
    """Everything a report is made of.

    ``render(generator, latents [N, d], class indices [N] or None)`` gives images [N, C, H, W].
    """

    reduce: ReduceContext
    summary: pa.Table
    spec_yaml: str
    provenance: Mapping[str, Any]
    render: Render


@dataclass(frozen=True)
class PageView(View):
    """What a section may need besides the view of its generator; see :class:`ReportContext`.

    ``concluders`` are those of every audit whose findings rest on densities.
    """

    render: Render
    spec_yaml: str
    concluders: Sequence[Concluder]


@dataclass(frozen=True)
class Section:
    """A part of a generator's report; an empty one is left out. ``alarm`` opens its warnings."""

    key: str
    title: str
    text: Sequence[str]
    figures: Sequence[Figure]
    tables: Sequence[Table]
    warnings: Sequence[str] = ()
    alarm: str = "Not settled."

    @property
    def side_by_side(self) -> list[tuple[Figure | None, list[Table]]]:
        """What is too wide for a column of the page: figures, each with the tables beside it.

        The last figure has all that follow beside it, up to the first that is too wide for that.
        """
        figures = [figure for figure in self.figures if figure.is_wide]
        tables = [table for table in self.tables if not table.is_narrow]
        paired: list[tuple[Figure | None, list[Table]]] = []
        for at, figure in enumerate(figures):
            beside = list(takewhile(lambda table: table.fits_beside, tables))
            if at + 1 < len(figures):
                beside = beside[:1]
            paired.append((figure, beside))
            tables = tables[len(beside) :]
        return [*paired, *((None, [table]) for table in tables)]


def present(*parts: Part | None) -> list[Part]:
    """The figures or tables that there are."""
    return [part for part in parts if part is not None]
