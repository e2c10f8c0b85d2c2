"""When workers that a node's lack of memory has ended may be replaced: later each time."""

import time
from collections.abc import Callable

_DOUBLINGS = 3


class MemoryPressure:
    """Counts deaths for want of memory, and says how long to wait before new workers start.

    A worker that starts again at once meets the same lack. While fewer run, those that are left
    can finish, and what took the memory may give it back.

    Args:
        first_pause: seconds to wait after the first death; twice as long after each further one,
            at most eight times as long, until a worker finishes something.
        clock: tells the seconds.
    """

    def __init__(self, first_pause: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._first = first_pause
        self._clock = clock
        self._until = clock()
        self.deaths = 0
        """How many in a row, with nothing finished between them."""

    def died(self) -> None:
        """Note a death; the several of one moment, which Ray ends together, count as one."""
        if self.pause == 0:
            self._until = self._clock() + self._first * 2.0 ** min(self.deaths, _DOUBLINGS)
            self.deaths += 1

    def eased(self) -> None:
        """Note that a worker finished something."""
        self.deaths = 0

    @property
    def pause(self) -> float:
        """Seconds in which no worker should start; 0 without pressure."""
        return max(0.0, self._until - self._clock())
