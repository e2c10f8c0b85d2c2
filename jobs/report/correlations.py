"""Correlations over images: of the values and of their ranks, side by side in a table."""

from .summary import ANY
from .table import Cell, N, estimates
from .view import View

CORRELATION_COLUMNS = (estimates("Pearson", decimals=2), estimates("Spearman", decimals=2), N)


def correlation_cells(
    view: View, metric: str, group: str, *conditions: str | None, against: str | None = ANY
) -> list[Cell]:
    """Cells of these columns for the ``metric``'s two kinds; none where it was not computed."""
    pearson, spearman = (
        view.find(f"{metric}_{kind}", group, *conditions, against=against)
        for kind in ("pearson", "spearman")
    )
    return [] if pearson is None else [pearson, spearman, pearson.n]
