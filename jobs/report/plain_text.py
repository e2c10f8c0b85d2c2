"""Text from files on the terminal: what would steer it is shown, not obeyed."""

import logging

import typer


def printable(text: str) -> str:
    """``text`` without what would steer a terminal: names and errors come from the data."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in "\n\t\xa0" else ascii(character)[1:-1]
        for character in text
    )


def say(text: object, *, err: bool = False, nl: bool = True) -> None:
    """Prints a text, on stderr if ``err``, with a line end if ``nl``."""
    typer.echo(printable(str(text)), err=err, nl=nl)


class PlainFormatter(logging.Formatter):
    """Lines of a log in printable text."""

    def format(self, record: logging.LogRecord) -> str:
        """As the library's."""
        return printable(super().format(record))
