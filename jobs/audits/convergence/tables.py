"""The tables of what doubling a setting changes, and what other seeds do."""

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
from ...report.words import BOUND
from .gates import replicates


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
        f"Change of ln p when one setting is doubled, nats; {BOUND}",
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


def replicate_table(view: View) -> Table | None:
    """How far estimates with other seeds lie apart, and what a probe found, by group."""
    rows: list[list[Cell]] = []
    for group in view.context.groups:
        for each in view.by_estimator():
            found = replicates(each, group.name)
            if found is not None:
                high = None if found.few else found.high
                better = each.find("probe_found_share", group.name)
                sizes = [found.mean, found.median, high, found.largest]
                rows.append([group.name, each.estimator, *sizes, better, found.mean.n])
    table = filled_table(
        "Difference of ln p between two estimates of the same images with other seeds, nats; "
        f"{BOUND}",
        [
            Column("group"),
            Column("estimator"),
            estimates("mean"),
            estimates("median size"),
            numbers("bound for all but a tenth"),
            numbers("largest size"),
            estimates("a probe found better, %", decimals=0, scale=100),
            N,
        ],
        rows,
        key="replicates",
    )
    return twins_side_by_side(table, "estimator")
