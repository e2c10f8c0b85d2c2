"""The numbers that a figure draws, as a table beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .summary import Estimate
from .table import Cell, Column, N, counts, estimates, numbers


@dataclass(frozen=True)
class Drawn:
    """Columns, and a row of cells for each mark of a figure."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]


def drawn_estimates(by_name: Mapping[str, Estimate], what: str) -> Drawn:
    """An estimate with its interval a group."""
    return Drawn(
        [Column("group"), estimates(what), N],
        [[name, found, found.n] for name, found in by_name.items()],
    )


def drawn_values(by_group: Mapping[str, np.ndarray], what: str) -> Drawn:
    """A value an image, by group."""
    return Drawn(
        [Column("group"), numbers(what)],
        [[name, float(value)] for name, values in by_group.items() for value in values],
    )


def drawn_bins(by_group: Mapping[str, np.ndarray], edges: np.ndarray, what: str) -> Drawn:
    """How many values of each group lie between neighbouring ``edges``."""
    rows: list[list[Cell]] = []
    for name, values in by_group.items():
        found, _ = np.histogram(values, edges)
        ends = zip(edges[:-1].tolist(), edges[1:].tolist(), found.tolist(), strict=True)
        rows += [[name, low, high, count] for low, high, count in ends]
    return Drawn([Column("group"), numbers(f"{what}, from"), numbers("to"), counts("images")], rows)
