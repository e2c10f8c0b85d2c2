"""The tables of what doubling a setting changes, and what other seeds do."""

import math
from dataclasses import replace

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
from .gates import Doubling, doublings, replicates


def doubling_table(view: View) -> Table | None:
    """What doubling does to ln p: a row a group, columns for each setting and estimator."""
    tried = [(varied, each) for varied in DOUBLED for each in view.by_estimator()]
    found = {
        group.name: [doublings(each, group.name).get(varied) for varied, each in tried]
        for group in view.context.groups
    }
    sizes = {group: {each.mean.n for each in cells if each} for group, cells in found.items()}
    # How many images a row rests on is said once where it is the same under every setting.
    alike = all(len(each) <= 1 for each in sizes.values())
    kinds = [estimates("mean"), numbers("all but a tenth"), numbers("all")]
    columns = [
        replace(
            kind, over=f"twice the {varied}" + (f", {each.estimator}" if each.estimator else "")
        )
        for varied, each in tried
        for kind in (kinds if alike else [*kinds, N])
    ]
    rows: list[list[Cell]] = [
        [
            group,
            *(cell for each in cells for cell in _changes(each, counted=not alike)),
            *(sizes[group] if alike else ()),
        ]
        for group, cells in found.items()
        if sizes[group]
    ]
    return filled_table(
        "Change of ln p when one setting is doubled, nats: the mean, and the sizes that all but a "
        f"tenth of the images (95% bound) and all stay within; {BOUND}",
        [Column("group"), *columns, *([N] if alike else [])],
        rows,
        key="doubling",
    )


def _changes(found: Doubling | None, *, counted: bool) -> list[Cell]:
    if found is None:
        return [None] * (4 if counted else 3)
    bound = None if math.isnan(found.high.value) else found.high
    return [found.mean, bound, found.largest, *([found.mean.n] if counted else [])]


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
