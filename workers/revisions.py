"""The revision of a computation: what makes numbers of two algorithms two sets of parts.

A shard's id hashes its settings, items and table version. None of these changes when the algorithm
does, and old parts would be taken for new ones. So the revision is part of the id as well: a run
that is resumed after one was raised computes that computation's shards again, and what depends on
their results, and nothing else.

Raise a computation's revision by one in the change that makes its numbers differ by more than
floating-point noise for the same settings, items and seeds: another formula, another random stream,
another default inside the code, a mended fault. Leave it where numbers stay: speed, memory, names,
messages. A new optional setting whose absence means what was always done is no reason either: None
leaves the hash. Recorded numbers in ``tests/jobs/recorded`` notice what was forgotten.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


def always(settings: Mapping[str, Any]) -> bool:
    """Of a computation that calls networks with whatever settings."""
    del settings
    return True


def never(settings: Mapping[str, Any]) -> bool:
    """Of a computation that calls no network."""
    del settings
    return False


@dataclass(frozen=True)
class Computation:
    """A function that turns items into rows, or one of the algorithms that it chooses from.

    Its value stands beside the function, and a shard's plan chooses it.

    Args:
        entry: The function, as ``module:function``.
        name: What people know it by, and its recorded numbers.
        revision: Begins at 1; raised when its numbers change.
        networks: Whether it calls a generator or another network, with the settings of a shard.
            What calls none is computed on CPUs, even where workers have GPUs.
    """

    entry: str
    name: str
    revision: int
    networks: Callable[[Mapping[str, Any]], bool] = always
