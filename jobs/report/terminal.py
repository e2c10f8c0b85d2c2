"""The short table at the end of a run: the verdicts, the AUCs and the accuracies."""

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from .tables import Table


def rich_table(table: Table) -> RichTable:
    """A table of the report for the terminal."""
    drawn = RichTable(title=Text(table.caption), box=SIMPLE_HEAD, title_justify="left")
    for index, header in enumerate(table.headers):
        drawn.add_column(Text(header), justify="left" if index == 0 else "right")
    for row in table.rows:
        drawn.add_row(*[Text(cell) for cell in row])
    return drawn
