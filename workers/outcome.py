"""What computing an item gives: a row's values, or why there are none."""

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """In place of a row's values: why this item has none, and where in the code that came up."""

    error: str
    traceback: str | None = None


Outcome = Row | Failure
