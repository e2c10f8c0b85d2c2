"""What the loop has heard of one actor."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Pulse:
    """An actor's signs of life, in seconds of the loop's clock.

    ``asked`` is the heartbeat that is not answered yet. ``alive`` is when the actor last showed
    that it works, None until its process answers at all: it may wait for its place for hours.
    ``began`` is when its present step was first seen, and ``done`` how many of its items are done,
    by the last heartbeat that was asked for since then: ``asked_in`` is the step of that one.
    ``step`` is that present step, None while the actor starts, and at first neither.
    """

    asked: Any = None
    asked_in: object = None
    done: float = 0.0
    cpu_seconds: float = -1.0
    alive: float | None = None
    step: object = field(default_factory=object)
    began: float = 0.0
