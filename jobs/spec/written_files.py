"""Where a command is told to write: refused before any work, or in words, where it cannot."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .loading import SpecError


def require_folder(option: str, folder: Path) -> None:
    """Refuses a folder that neither is one nor can become one; ``option`` is how it was named.

    Raises:
        SpecError: it is a file, or would lie in one.
    """
    there = next((each for each in (folder, *folder.parents) if os.path.lexists(each)), None)
    if there is not None and not there.is_dir():
        raise SpecError(
            f"{option} {folder}: {there} is a file, expected a folder; choose another {option}"
        )


@contextmanager
def writing(option: str, place: Path) -> Iterator[None]:
    """Says what could not be written, of the place that ``option`` names.

    Raises:
        SpecError: in the place of an OSError.
    """
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise SpecError(f"{option} {place}: cannot be written: {reason}") from error
