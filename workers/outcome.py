"""What computing an item gives: a row's values, or why there are none."""

from dataclasses import dataclass
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Failure:
    """In place of a row's values: why this item has none."""

    error: str


Outcome = Row | Failure
