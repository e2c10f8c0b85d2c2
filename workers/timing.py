"""Seconds that calls take, measured: their range, and by how many rows they have."""

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

_Key = TypeVar("_Key", bound=Hashable)

USUAL_SECONDS = 0.1
"""So long are a fast call's repetitions: clocks are no finer."""
_MOST_CALLS = 300
# So often everything is timed, one thing after another each time: a machine's mood lasts longer
# than any one of them. So many of the least and of the largest are chance. What took longer than
# this is not timed again, and after so long no further round begins: plans are to be quick.
_ROUNDS = 5
_LEFT_OUT = 1
_LONG_SECONDS = 2.0
_ENOUGH_SECONDS = 5.0


class Seconds(NamedTuple):
    """The least and the most that something takes."""

    least: float
    most: float

    def times(self, number: float) -> "Seconds":
        """So many of them, one after the other."""
        return Seconds(number * self.least, number * self.most)

    def plus(self, other: "Seconds") -> "Seconds":
        """Both, one after the other."""
        return Seconds(self.least + other.least, self.most + other.most)


NOTHING = Seconds(0.0, 0.0)


@dataclass(frozen=True)
class Timing:
    """Seconds of a call with ``few`` rows and with ``many``; of others on the line through both.

    With fewer than ``few`` rows a call takes as long as with those. Where there is one number of
    rows, the seconds of others are in proportion.
    """

    few: int
    few_seconds: Seconds
    many: int
    many_seconds: Seconds

    def seconds(self, rows: int) -> Seconds:
        """Of a call with so many rows."""
        if self.many == self.few:
            return self.few_seconds.times(rows / self.few)
        further = max(0, rows - self.few) / (self.many - self.few)
        return Seconds(
            *(
                few + further * max(0.0, many - few)
                for few, many in zip(self.few_seconds, self.many_seconds, strict=True)
            )
        )


def timed(call: Callable[[], object], least: float = USUAL_SECONDS) -> float:
    """The mean seconds of a call, repeated for ``least`` seconds, or made once where it is slow.

    What is done once has been done before.
    """
    calls, begun = 0, time.perf_counter()
    while True:
        call()
        calls += 1
        taken = time.perf_counter() - begun
        if taken >= least or calls == _MOST_CALLS:
            return taken / calls


def in_rounds(timings: Mapping[_Key, Callable[[], float]]) -> dict[_Key, Seconds]:
    """The range of what each of some timings gives, in a few rounds of all of them.

    It is that of the middle three of five rounds, so that a moment of other work does not show; of
    what is slow there are fewer.
    """
    started = time.perf_counter()
    taken: dict[_Key, list[float]] = {key: [] for key in timings}
    slow: set[_Key] = set()
    for number in range(_ROUNDS):
        if number and time.perf_counter() - started > _ENOUGH_SECONDS:
            break
        for key, timing in timings.items():
            if key in slow:
                continue
            begun = time.perf_counter()
            taken[key].append(timing())
            if time.perf_counter() - begun > _LONG_SECONDS:
                slow.add(key)
    return {key: _range(found) for key, found in taken.items()}


def _range(taken: list[float]) -> Seconds:
    """That of the middle ones, where there is more than one measurement."""
    ordered = sorted(taken)
    if len(ordered) == _ROUNDS:
        ordered = ordered[_LEFT_OUT:-_LEFT_OUT]
    return Seconds(ordered[0], ordered[-1])
