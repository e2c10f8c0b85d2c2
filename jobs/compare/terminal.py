"""The comparison in the terminal: headlines, differences, what classifiers say, and caveats."""

from rich.console import Group, RenderableType
from rich.text import Text

from ..report.terminal import rich_table
from .classes import class_sentences
from .runs import Comparison
from .side_by_side import difference_table, headline_table, overlap_table, side_table


def compare_summary(comparison: Comparison) -> RenderableType:
    """Sides, warnings, headline metrics, shared images, differences, and classes' sentences."""
    parts: list[RenderableType] = [rich_table(side_table(comparison))]
    parts += [Text(f"! {caveat}", style="bold yellow") for caveat in comparison.caveats]
    for table in (
        headline_table(comparison),
        overlap_table(comparison),
        difference_table(comparison, headlines=True),
    ):
        if table is not None:
            parts.append(rich_table(table))
    parts += [Text(each) for each in class_sentences(comparison.sides)]
    if not comparison.differences:
        parts.append(Text(NO_DIFFERENCES, style="yellow"))
    return Group(*parts)


NO_DIFFERENCES = (
    "No paired differences: no image that was evaluated is in two of these runs, by id, source and "
    "pixels. Compare the intervals above."
)
