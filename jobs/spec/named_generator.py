"""A generator of an audit, as the rest of the house knows it."""

from dataclasses import dataclass

from ...workers.generator_source import GeneratorSource
from .model import SamplesSpec


@dataclass(frozen=True)
class Series:
    """Where a checkpoint stands in its training: ``position`` counts from 0, of ``count``."""

    name: str
    iteration: int | str
    position: int
    count: int


@dataclass(frozen=True)
class NamedGenerator:
    """A generator of the audit, under its name in the tables; ``key`` is where the spec has it.

    ``conditions`` are the classes that it is evaluated under, by number or by name; None for all.
    """

    name: str
    key: str
    opened_from: GeneratorSource
    samples: SamplesSpec | None
    code: tuple[str, ...]
    conditions: tuple[int | str, ...] | None = None
    series: Series | None = None
