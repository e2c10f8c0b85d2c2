"""What a command's end tells the shell: exit statuses, and errors as one line each."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from ...workers.command_lines import command, resuming
from ..report.plain_text import PlainFormatter, say

if TYPE_CHECKING:
    from ..drive.driver import Outcome

EXIT_STOPPED = 1
EXIT_BAD_SPEC = 2
EXIT_QUARANTINED = 3
EXIT_STORAGE_FULL = 4
EXIT_STORAGE_DENIED = 5
EXIT_CREDENTIALS = 6
EXIT_NO_CLUSTER = 7
EXIT_TOKEN = 8
EXIT_UNFINISHED = 9
EXIT_INTERRUPTED = 130


def end(outcome: "Outcome") -> None:
    """Names the report and, with the exit status for it, that it is partial or what failed."""
    partial = "partial report" if outcome.unfinished else "report"
    say(f"\n{partial}: {outcome.results.report}")
    if outcome.mended:
        say(
            f"damaged parts: {outcome.mended}, moved to _damaged in the run directory and computed "
            "again",
            err=True,
        )
    if outcome.out_of_use:
        say(
            f"shard after shard died at {', '.join(outcome.out_of_use)}, and was computed "
            "elsewhere: look at these GPUs or nodes before the next run",
            err=True,
        )
    if outcome.unfinished:
        run = outcome.results.context.tables.locate()
        say(
            f"The run is not finished: resume it with `{resuming(run)}`",
            err=True,
        )
        raise typer.Exit(EXIT_UNFINISHED)
    if not outcome.complete:
        counts = ", ".join(
            f"{count} in {stage}" for stage, count in outcome.quarantined.items() if count
        )
        say(
            f"quarantined items: {counts} (rows with status != ok). "
            f"`{command('errors', outcome.results.context.tables.locate())}` says why; "
            "`run --retry-failed` computes them again",
            err=True,
        )
        raise typer.Exit(EXIT_QUARANTINED)


@contextmanager
def errors_explained() -> Iterator[None]:
    """Turns what a user can mend into one line on stderr and the documented exit status."""
    lines = logging.StreamHandler()
    lines.setFormatter(PlainFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[lines])
    try:
        yield
    except KeyboardInterrupt as interrupt:
        say("interrupted; run the same command again to resume", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from interrupt
    except typer.Exit:
        raise
    except SystemExit as error:
        from ...workers.own_function import told

        say(f"offmanifold: code of yours raised {told(error)}", err=True)
        raise typer.Exit(EXIT_STOPPED) from error
    except Exception as error:
        code = _exit_status(error)
        if code is None:
            raise
        say(f"offmanifold: {error}", err=True)
        raise typer.Exit(code) from error


def _exit_status(error: Exception) -> int | None:
    from ...cluster.executor import WorkerDiedError
    from ...cluster.locations import LocationError
    from ...cluster.ray_errors import ClusterError, SubmissionError, TokenError
    from ...cluster.storage import (
        CredentialsError,
        StorageDeniedError,
        StorageError,
        StorageFullError,
    )

    statuses: dict[type[Exception], int] = {
        LocationError: EXIT_BAD_SPEC,
        SubmissionError: EXIT_BAD_SPEC,
        StorageFullError: EXIT_STORAGE_FULL,
        StorageDeniedError: EXIT_STORAGE_DENIED,
        CredentialsError: EXIT_CREDENTIALS,
        StorageError: EXIT_STOPPED,
        WorkerDiedError: EXIT_STOPPED,
        TokenError: EXIT_TOKEN,
        ClusterError: EXIT_NO_CLUSTER,
    }
    found = next((code for kind, code in statuses.items() if isinstance(error, kind)), None)
    if found is not None:
        return found
    # They import torch, which takes seconds, and which a command about jobs has no need of.
    from ..plan.stage import StageError
    from ..spec.loading import SpecError

    if isinstance(error, SpecError):
        return EXIT_BAD_SPEC
    return EXIT_STOPPED if isinstance(error, StageError) else None
