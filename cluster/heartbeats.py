"""Which workers hang: they answer no heartbeat, do nothing, or never come to an end."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from .idle_actors import Running

_LONGEST_INTERVAL = 30.0
_ASKED_PER_LIMIT = 5


@dataclass(frozen=True)
class Patience:
    """For how long a worker is waited for.

    Args:
        heartbeat_seconds: without an answer from its process, or with answers that say that the
            working thread used no CPU time all the while. Longer than any pause in honest work,
            and than the minute after which Ray declares a node dead that is out of reach.
        shard_seconds: for one step, whatever it answers: work that is busy and gets nowhere.
        memory_seconds: until workers that a lack of memory has ended are replaced, at first.
    """

    heartbeat_seconds: float = 600.0
    shard_seconds: float = 86_400.0
    memory_seconds: float = 5.0


class Watch:
    """Asks the actors that have work for heartbeats, and names those that give none."""

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._looked = clock()
        self.interval = min(_LONGEST_INTERVAL, patience.heartbeat_seconds / _ASKED_PER_LIMIT)

    def hung(self, running: Mapping[Any, Running]) -> list[tuple[Any, str]]:
        """Those that hang, by the reference of their step, each with the reason.

        To be called at least every ``interval`` seconds; asks no more often than that.
        """
        now = self._clock()
        since = now - self._looked
        if since < self.interval or not running:
            return []
        self._looked = now
        # What is finished already only waits for the loop.
        _, unfinished = ray.wait(list(running), num_returns=len(running), timeout=0)
        busy = {key: running[key] for key in unfinished}
        self._listen(busy, now)
        # A driver that was stopped itself, or is overloaded, must not take it out on its workers.
        if since > self._patience.heartbeat_seconds / 2:
            for each in busy.values():
                each.pulse.alive = None if each.pulse.alive is None else now
        found = ((key, self._reason(each, now)) for key, each in busy.items())
        return [(key, reason) for key, reason in found if reason is not None]

    def _listen(self, busy: Mapping[Any, Running], now: float) -> None:
        asked = [each.pulse.asked for each in busy.values() if each.pulse.asked is not None]
        answered: set[Any] = set()
        if asked:
            answered = set(ray.wait(asked, num_returns=len(asked), timeout=0)[0])
        for each in busy.values():
            pulse = each.pulse
            if pulse.step is not each.step:
                pulse.step, pulse.began = each.step, now
                pulse.alive = None if pulse.alive is None else now
            if pulse.asked in answered:
                self._hear(each, now)
            if pulse.asked is None:
                pulse.asked = each.actor.heartbeat.remote()

    def _hear(self, each: Running, now: float) -> None:
        pulse = each.pulse
        reference, pulse.asked = pulse.asked, None
        try:
            cpu_seconds = ray.get(reference)
        except RayError:
            # It died, which its step tells too.
            return
        if cpu_seconds != pulse.cpu_seconds:
            pulse.alive, pulse.cpu_seconds = now, cpu_seconds

    def _reason(self, each: Running, now: float) -> str | None:
        pulse = each.pulse
        if pulse.alive is None:
            return None
        if now - pulse.alive > self._patience.heartbeat_seconds:
            return (
                f"the worker gave no sign of life for {self._patience.heartbeat_seconds:g} s "
                "(heartbeat_seconds) and was ended"
            )
        if now - pulse.began > self._patience.shard_seconds:
            return (
                f"the worker did not finish within {self._patience.shard_seconds:g} s "
                "(shard_seconds) and was ended"
            )
        return None
