"""What goes to the terminal: tables, and for programs nothing but the answer."""

import contextlib
import sys
from contextlib import AbstractContextManager


def print_rich(renderable: object) -> None:
    """Prints what rich renders: as wide as the terminal, or 120 columns where it is none."""
    from ..report.plain_console import PlainConsole

    PlainConsole(width=None if sys.stdout.isatty() else 120).print(renderable)


def aside(*, apart: bool) -> AbstractContextManager[object]:
    """While it lasts, what a user's code prints goes to stderr if it has to stay ``apart``.

    Standard output is then the answer alone, which a program reads.
    """
    return contextlib.redirect_stdout(sys.stderr) if apart else contextlib.nullcontext()
