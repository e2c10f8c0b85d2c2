"""The state of a run on a terminal."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from ..drive.status import RunStatus, StageStatus
from ..record.activity import Workers
from ..report.durations import duration

_HEADINGS = (
    "done",
    "pending",
    "failed",
    "rows",
    "quarantined",
    "items/s",
    "left",
    "slowest shards",
)


def status_table(status: RunStatus) -> RenderableType:
    """Every stage's progress, and the workers below."""
    table = Table("stage", box=None, header_style="bold")
    for heading in _HEADINGS:
        table.add_column(heading, justify="right")
    for stage in status.stages:
        table.add_row(stage.stage, *_cells(stage))
    notes = [Text(note) for stage in status.stages for note in _strays(stage)]
    notes += [
        Text(f"out of use: {place} (shard after shard died there; it is tried again later)")
        for place in status.workers.out_of_use
    ]
    return Group(table, *notes, Text(_workers(status.workers)))


def _strays(stage: StageStatus) -> Iterator[str]:
    """The files of its folder that do not count."""
    for name in stage.damaged:
        yield f"damaged: {name} (run moves it aside and computes it again)"
    for name in stage.unplanned:
        yield f"not planned by the spec: {name} (run moves it aside)"


def _cells(stage: StageStatus) -> tuple[str, ...]:
    return (
        str(stage.done),
        "?" if stage.pending is None else str(stage.pending),
        str(stage.failed),
        str(stage.rows),
        str(stage.quarantined),
        "-" if stage.items_per_second is None else f"{stage.items_per_second:.2f}",
        "-" if stage.seconds_left is None or not stage.pending else duration(stage.seconds_left),
        ", ".join(f"{slow.shard[:8]} {duration(slow.seconds)}" for slow in stage.slowest),
    )


def _workers(workers: Workers) -> str:
    if workers.drivers == 0:
        return "workers: none (no driver has reported any in the last two minutes)"
    drivers = "" if workers.drivers == 1 else f", from {workers.drivers} drivers"
    return (
        f"workers: {workers.busy} busy, {workers.idle} idle, {workers.starting} starting or "
        f"waiting for a node{drivers}"
    )
