"""Seconds that calls take, measured: their range, and by how many rows they have."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

# Fewer calls would time the machine's mood; more, of a slow generator, the user's patience.
_FEWEST_CALLS = 3
USUAL_SECONDS = 0.15
"""So long are a fast generator's calls repeated: clocks are no finer."""
_MOST_CALLS = 300
# What takes longer than this is timed once.
_LONG_SECONDS = 2.0


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


def timed(call: Callable[[], object], least: float = USUAL_SECONDS) -> Seconds:
    """The range of a call's seconds: of three parts of the calls that were made, one after another.

    Calls are repeated for ``least`` seconds, but for slow ones. What is done once has been done
    before.
    """
    taken: list[float] = []
    while not _enough(taken, least):
        begun = time.perf_counter()
        call()
        taken.append(time.perf_counter() - begun)
    if len(taken) < _FEWEST_CALLS:
        return Seconds(min(taken), max(taken))
    third = len(taken) // 3
    parts = [taken[start : start + third] for start in (0, third, 2 * third)]
    means = [sum(part) / third for part in parts]
    return Seconds(min(means), max(means))


def _enough(taken: list[float], least: float) -> bool:
    whole = sum(taken)
    if taken and whole > _LONG_SECONDS:
        return True
    return len(taken) >= _MOST_CALLS or (len(taken) >= _FEWEST_CALLS and whole >= least)
