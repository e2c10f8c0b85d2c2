"""A finding's number and what it says, to be held against that of another estimator."""

from collections.abc import Callable
from dataclasses import dataclass

from ..reduce.context import GeneratorInfo, ReduceContext
from .summary import Summary


@dataclass(frozen=True)
class Conclusion:
    """A number with its interval, and what it says."""

    value: str
    words: str


Conclusions = dict[str, Conclusion]


Concluder = Callable[[ReduceContext, Summary, GeneratorInfo], Conclusions]
