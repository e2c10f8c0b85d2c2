"""The report's tables in the terminal."""

from rich.box import SIMPLE_HEAD
from rich.table import Table as RichTable
from rich.text import Text

from .table import Table


def rich_table(table: Table) -> RichTable:
    """A table of the report for the terminal."""
    drawn = RichTable(title=Text(table.caption), box=SIMPLE_HEAD, title_justify="left")
    for index, column in enumerate(table.columns):
        drawn.add_column(Text(column.title), justify="left" if index == 0 else "right")
    for row in table.written:
        drawn.add_row(*[Text(cell.text) for cell in row])
    return drawn
