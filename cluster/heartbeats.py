"""Which workers hang: they answer no heartbeat, do nothing, or never come to an end."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import ray
from ray.exceptions import RayError

from .idle_actors import Running
from .patience import Patience

_LONGEST_INTERVAL = 30.0
_SHORTEST_INTERVAL = 2.0
_ASKED_PER_SECOND = 20
_ASKED_PER_LIMIT = 5


class Watch:
    """Asks the actors that have work for heartbeats, and names those that give none."""

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic) -> None:
        self._patience = patience
        self._clock = clock
        self._looked = clock()
        self._most = min(_LONGEST_INTERVAL, patience.heartbeat_seconds / _ASKED_PER_LIMIT)
        self.interval = min(self._most, _SHORTEST_INTERVAL)

    def hung(self, running: Mapping[Any, Running]) -> list[tuple[Any, str]]:
        """Those that hang, by the reference of their step, each with the reason.

        To be called at least every ``interval`` seconds; asks no more often than that.
        """
        now = self._clock()
        since = now - self._looked
        if since < self.interval or not running:
            return []
        self._looked = now
        # Few actors are asked often, for the sake of who watches; many must not busy the driver.
        often = max(_SHORTEST_INTERVAL, len(running) / _ASKED_PER_SECOND)
        self.interval = min(self._most, often)
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
                pulse.step, pulse.began, pulse.done = each.step, now, 0.0
                pulse.alive = None if pulse.alive is None else now
            if pulse.asked in answered:
                self._hear(each, now)
            if pulse.asked is None:
                pulse.asked, pulse.asked_in = each.actor.heartbeat.remote(), each.step

    def _hear(self, each: Running, now: float) -> None:
        pulse = each.pulse
        reference, pulse.asked = pulse.asked, None
        try:
            cpu_seconds, done = ray.get(reference)
        except RayError:
            # It died, which its step tells too.
            return
        if pulse.asked_in is each.step:
            pulse.done = done
        if cpu_seconds != pulse.cpu_seconds:
            pulse.alive, pulse.cpu_seconds = now, cpu_seconds

    def _reason(self, each: Running, now: float) -> str | None:
        pulse = each.pulse
        if pulse.alive is None:
            return None
        if now - pulse.alive > self._patience.heartbeat_seconds:
            return (
                f"the worker gave no sign of life for {self._patience.heartbeat_seconds:g} s "
                "(heartbeat_seconds) and was stopped"
            )
        if now - pulse.began > self._patience.shard_seconds:
            return (
                f"the worker did not finish within {self._patience.shard_seconds:g} s "
                "(shard_seconds) and was stopped"
            )
        return None
