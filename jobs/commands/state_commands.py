"""``offmanifold status`` and ``offmanifold errors``: how a run is, and what failed in it."""

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..report.plain_text import say
from .exit_status import errors_explained
from .options import JsonOption, RunArgument
from .printing import print_rich

if TYPE_CHECKING:
    from ..drive.status import RunStatus
    from ..record.run_directory import RunDirectory


def status(
    directory: RunArgument,
    as_json: JsonOption = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Repeat until the run is complete.")
    ] = False,
    every: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Time between updates of --watch.")
    ] = 5.0,
) -> None:
    """Show the shards done, pending and failed, rows, items/s and time left, and the workers."""
    with errors_explained():
        from ..drive.status import run_status, statuses

        run = _run(directory)
        if not watch:
            _show(run_status(run), as_json=as_json)
        elif as_json or not sys.stdout.isatty():
            for found in statuses(run):
                _show(found, as_json=as_json, indent=None)
                if not found.complete:
                    time.sleep(every)
        else:
            _watch(run, every)


def errors(
    directory: RunArgument,
    stage: Annotated[str | None, typer.Option(help="Only this stage.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per item and line, for programs.")
    ] = False,
) -> None:
    """Show what is quarantined: each error once, with the items it hit and its traceback."""
    with errors_explained():
        from dataclasses import asdict

        from ..drive.quarantine import failed_items
        from .errors_text import errors_text

        items = list(failed_items(_run(directory), stage))
        if as_json:
            for item in items:
                fields = asdict(item)
                say(json.dumps({**fields.pop("keys"), **fields}))
        elif items:
            say(errors_text(items), nl=False)
        else:
            say("no items are quarantined")


def _run(directory: str) -> "RunDirectory":
    from ...cluster.locations import absolute
    from ..record.run_directory import RunDirectory

    return RunDirectory.at(absolute(directory))


def _watch(run: "RunDirectory", every: float) -> None:
    from rich.live import Live

    from ..drive.status import statuses
    from ..report.plain_console import PlainConsole
    from .status_table import status_table

    with Live(console=PlainConsole(), auto_refresh=False) as live:
        for found in statuses(run):
            live.update(status_table(found), refresh=True)
            if not found.complete:
                time.sleep(every)


def _show(status: "RunStatus", *, as_json: bool, indent: int | None = 2) -> None:
    if as_json:
        from dataclasses import asdict

        fields: dict[str, Any] = {**asdict(status), "complete": status.complete}
        say(json.dumps(fields, indent=indent))
        return
    from .status_table import status_table

    print_rich(status_table(status))
