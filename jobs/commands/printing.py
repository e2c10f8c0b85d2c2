"""Tables on the terminal."""

import sys


def print_rich(renderable: object) -> None:
    """Prints what rich renders: as wide as the terminal, or 120 columns where it is none."""
    from ..report.plain_console import PlainConsole

    PlainConsole(width=None if sys.stdout.isatty() else 120).print(renderable)
