"""Rounds of timings: chance is left out of the range, and what is slow is timed less often."""

from collections.abc import Callable
from unittest.mock import patch

from offmanifold.workers.timing import Seconds, in_rounds, timed


class Clock:
    """A clock that only calls move on."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def takes(self, *seconds: float) -> Callable[[], float]:
        """A timing that takes these seconds, one after another, and gives them."""
        left = list(seconds)

        def timing() -> float:
            taken = left.pop(0)
            self.now += taken
            return taken

        return timing


def _ranges(clock: Clock, **timings: Callable[[], float]) -> dict[str, Seconds]:
    with patch("offmanifold.workers.timing.time.perf_counter", clock):
        return in_rounds(timings)


def test_the_range_is_of_the_middle_three_of_five() -> None:
    clock = Clock()
    found = _ranges(clock, each=clock.takes(0.2, 0.9, 0.1, 0.01, 0.3))
    assert found == {"each": (0.1, 0.3)}


def test_what_is_slow_is_timed_once_and_rounds_end() -> None:
    clock = Clock()
    found = _ranges(clock, slow=clock.takes(3.0), other=clock.takes(1.5, 1.0))
    assert found == {"slow": (3.0, 3.0), "other": (1.0, 1.5)}
    assert clock.now == 5.5


def test_a_fast_call_is_repeated_and_a_slow_one_is_not() -> None:
    clock = Clock()
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1
        clock.now += 0.03

    with patch("offmanifold.workers.timing.time.perf_counter", clock):
        assert abs(timed(call, 0.1) - 0.03) < 1e-12
        assert calls == 4
        assert abs(timed(call, 0.0) - 0.03) < 1e-12
        assert calls == 5
