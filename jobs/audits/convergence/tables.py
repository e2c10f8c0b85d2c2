"""The table of what doubling a setting changes."""

from ...reduce.schema import DOUBLED
from ...report.table import (
    Cell,
    Column,
    N,
    Table,
    estimates,
    filled_table,
    numbers,
    twins_side_by_side,
)
from ...report.view import View


def doubling_table(view: View) -> Table | None:
    """Mean and largest change of ln p by group, estimator and what was doubled."""
    rows: list[list[Cell]] = []
    for group in view.context.groups:
        for varied in DOUBLED:
            for each in view.by_estimator():
                change, largest = (
                    each.find(metric, group.name, against=varied)
                    for metric in ("doubling_change", "doubling_change_max")
                )
                if change is not None and largest is not None:
                    rows.append([group.name, varied, each.estimator, change, largest, change.n])
    table = filled_table(
        "Change of ln p when one setting is doubled, nats",
        [
            Column("group"),
            Column("doubled"),
            Column("estimator"),
            estimates("mean change"),
            numbers("largest change"),
            N,
        ],
        rows,
        key="doubling",
    )
    return twins_side_by_side(table, "estimator")
