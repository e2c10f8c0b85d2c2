"""A finding's number and what it says, to be held against that of another estimator."""

from collections.abc import Callable
from dataclasses import dataclass

from .summary import Estimate
from .table import THREE_DIGITS, Format
from .view import View


@dataclass(frozen=True)
class Conclusion:
    """A number with its interval and how it is written, and what it says."""

    value: Estimate
    words: str
    format: Format = THREE_DIGITS


Conclusions = dict[str, Conclusion]


Concluder = Callable[[View], Conclusions]
