"""What a command's end tells the shell: exit statuses, and errors as one line each."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from .driver import Outcome

EXIT_STOPPED = 1
EXIT_BAD_SPEC = 2
EXIT_QUARANTINED = 3
EXIT_INTERRUPTED = 130


def end(outcome: "Outcome") -> None:
    """Names the report and, with the exit status of quarantine, what failed."""
    typer.echo(f"\nreport: {outcome.results.report}")
    if not outcome.complete:
        counts = ", ".join(
            f"{count} in {stage}" for stage, count in outcome.quarantined.items() if count
        )
        typer.echo(
            f"quarantined items: {counts} (rows with status != ok; `run --retry-failed` "
            "computes them again)",
            err=True,
        )
        raise typer.Exit(EXIT_QUARANTINED)


@contextmanager
def errors_explained() -> Iterator[None]:
    """Turns what a user can mend into one line on stderr and the documented exit status."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        yield
    except KeyboardInterrupt as interrupt:
        typer.echo("interrupted; run the same command again to resume", err=True)
        raise typer.Exit(EXIT_INTERRUPTED) from interrupt
    except typer.Exit:
        raise
    except Exception as error:
        code = _exit_status(error)
        if code is None:
            raise
        typer.echo(f"offmanifold: {error}", err=True)
        raise typer.Exit(code) from error


def _exit_status(error: Exception) -> int | None:
    from ..cluster.locations import LocationError
    from ..cluster.ray_session import ClusterError, SubmissionError
    from ..cluster.storage import StorageError
    from .spec_loading import SpecError
    from .stages.stage import StageError

    if isinstance(error, SpecError | LocationError | SubmissionError):
        return EXIT_BAD_SPEC
    return EXIT_STOPPED if isinstance(error, StorageError | ClusterError | StageError) else None
