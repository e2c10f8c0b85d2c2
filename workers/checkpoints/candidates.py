"""Where in a file a generator's tensors may lie, whatever a training script wrapped around them."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

from torch import Tensor

from .pickled_modules import is_module, module_states, module_tensors
from .pickled_objects import Inert, PickleError, tensor_in

_DEEPEST = 8
_DEEPEST_PREFIX = 4
_MOST_CONTAINERS = 10_000
# Of all modules that are looked into, as often as they are.
_MOST_MODULES = 50_000
_LONGEST_LIST = 16
# No family's generator has fewer tensors; single layers do.
_FEWEST = 4
_AVERAGE = re.compile(r"(?<![a-z])ema(?![a-z])")


@dataclass(frozen=True)
class Candidate:
    """Tensors that may be a generator's: all of one container, or those under one prefix.

    ``place`` is the path to them through containers and prefixes; ``whole`` says that the
    container has all of its tensors here, so that no name has lost a prefix.
    """

    place: tuple[str, ...]
    tensors: dict[str, Tensor]
    whole: bool = True

    @property
    def key(self) -> str:
        """The place as a spec's ``key`` says it; empty for the whole file."""
        return ".".join(self.place)

    @property
    def size(self) -> int:
        """How many numbers its tensors hold."""
        return sum(prod(tensor.shape) for tensor in self.tensors.values())

    @property
    def is_average(self) -> bool:
        """Whether its place is called a moving average."""
        return _AVERAGE.search(self.key.lower()) is not None

    def lies_in(self, key: str) -> bool:
        """Whether ``key`` names its place, or steps on the way there that follow each other."""
        return f".{key}." in f".{self.key}."

    def named(self, pattern: str | None) -> "Candidate":
        """Those of its tensors whose names begin so; all of them without a pattern."""
        if pattern is None:
            return self
        found = {name: each for name, each in self.tensors.items() if re.match(pattern, name)}
        return replace(self, tensors=found, whole=False)

    def is_inside(self, other: "Candidate") -> bool:
        """Whether its tensors are some of the other's, under a longer path."""
        return self is not other and self.place[: len(other.place)] == other.place


def find_candidates(holds: Any) -> list[Candidate]:
    """Every set of named tensors in what a file holds; outer ones come before inner ones.

    Dictionaries, objects that became inert, pickled modules and short lists are looked into. What
    is no tensor (epochs, settings, numpy's numbers) is left aside, as is what lies under keys that
    are no text: an optimiser's state.

    Raises:
        PickleError: a module is none, or there are too many.
    """
    found: list[Candidate] = []
    seen: set[int] = set()
    modules = 0
    waiting: deque[tuple[tuple[str, ...], Any]] = deque([((), holds)])
    while waiting and len(seen) < _MOST_CONTAINERS:
        place, value = waiting.popleft()
        if id(value) in seen or len(place) > _DEEPEST:
            continue
        seen.add(id(value))
        tensors, inner, passed = _opened(value)
        modules += passed
        if modules > _MOST_MODULES:
            raise PickleError(f"there are more than {_MOST_MODULES:,} modules in it")
        if tensors:
            found.append(Candidate(place, tensors))
            found += _under_prefixes(place, tensors, _DEEPEST_PREFIX)
        waiting.extend(((*place, *step), value) for step, value in inner)
    return found


def _opened(value: Any) -> tuple[dict[str, Tensor], list[tuple[tuple[str, ...], Any]], int]:
    """A container's own tensors, the containers in it with the steps to them, its modules."""
    if is_module(value):
        states = module_states(value)
        return module_tensors(states), [], len(states)
    if isinstance(value, list | tuple):
        members = enumerate(value) if len(value) <= _LONGEST_LIST else ()
        return {}, [((str(index),), inner) for index, inner in members if _may_hold(inner)], 0
    if not isinstance(value, Mapping):
        return {}, [], 0
    named = {name: inner for name, inner in value.items() if isinstance(name, str)}
    found = {name: tensor_in(inner) for name, inner in named.items()}
    tensors = {name: tensor for name, tensor in found.items() if tensor is not None}
    inside: list[tuple[tuple[str, ...], Any]] = [
        ((name,), inner) for name, inner in named.items() if _may_hold(inner)
    ]
    if isinstance(value, Inert) and _may_hold(value.state):
        inside.append(((), value.state))
    return tensors, inside, 0


def _may_hold(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple) or is_module(value)


def _under_prefixes(
    place: tuple[str, ...], tensors: Mapping[str, Tensor], depth: int
) -> Iterator[Candidate]:
    """The tensors by the first parts of their names, without those."""
    groups: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        prefix, dot, rest = name.partition(".")
        if dot:
            groups.setdefault(prefix, {})[rest] = tensor
    for prefix, inner in groups.items():
        if len(inner) < _FEWEST:
            continue
        yield Candidate((*place, prefix), inner, whole=False)
        if depth > 1:
            yield from _under_prefixes((*place, prefix), inner, depth - 1)
