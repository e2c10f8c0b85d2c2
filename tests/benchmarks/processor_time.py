"""Processor time of a piece of work, the mean of as many calls as make it long enough to tell."""

import time
from collections.abc import Callable


def seconds_a_call(work: Callable[[], object], at_least: float) -> float:
    """Processor seconds of a call, over as many as take ``at_least`` seconds together."""
    began, calls = time.process_time(), 0
    while calls == 0 or time.process_time() - began < at_least:
        work()
        calls += 1
    return (time.process_time() - began) / calls
