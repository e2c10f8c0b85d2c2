"""The actors of a run that wait for work, and when they have waited for too long."""

import time
from dataclasses import dataclass, field
from typing import Any

import ray

from .executor import AssembleStep, Step
from .places import Place
from .pulse import Pulse


@dataclass
class Running:
    """What one actor is doing: a step, or None while it starts; and its signs of life.

    ``node`` is Ray's id of the one that it was to be put on, None where Ray chose. ``place`` is
    where it is and ``process`` its ``host:pid``, once it has said so, and ``began`` is
    when its step did. ``rested`` is whether it had nothing to do before that for so long that it
    may have died then.
    """

    actor: Any
    step: Step | AssembleStep | None
    place: Place | None = None
    process: str = ""
    began: float = 0.0
    pulse: Pulse = field(default_factory=Pulse)
    node: str | None = None
    rested: bool = False


class IdleActors:
    """The actors with nothing to do, and how long they may stay that way.

    On a cluster that shrinks, the last shards of a stage must not hold all its nodes.
    """

    def __init__(self, keep: int, seconds: float) -> None:
        self._since: list[tuple[float, Running]] = []
        self._keep = keep
        self._seconds = seconds

    def __len__(self) -> int:
        return len(self._since)

    @property
    def actors(self) -> list[Running]:
        """All of them, longest idle first."""
        return [running for _, running in self._since]

    def add(self, running: Running) -> None:
        """An actor that has just finished."""
        self._since.append((time.monotonic(), running))

    def take(self, running: Running) -> float:
        """Note that an actor of them has something to do; for how many seconds it had not."""
        (since,) = (since for since, each in self._since if each is running)
        self._since = [each for each in self._since if each[1] is not running]
        return time.monotonic() - since

    def release(self, busy: int) -> float | None:
        """End those idle for too long; the seconds until the next one is, None if none will be."""
        while self._since and busy + len(self._since) > self._keep:
            since, running = self._since[0]
            if (left := since + self._seconds - time.monotonic()) > 0:
                return left
            ray.kill(running.actor)
            del self._since[0]
        return None
