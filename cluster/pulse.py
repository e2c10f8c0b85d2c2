"""What the loop has heard of one actor."""

from dataclasses import dataclass
from typing import Any


@dataclass
class Pulse:
    """An actor's signs of life, in seconds of the loop's clock.

    ``asked`` is the heartbeat that is not answered yet. ``alive`` is when the actor last showed
    that it works, None until its process answers at all: it may wait for its place for hours.
    ``began`` is when its present step was first seen.
    """

    asked: Any = None
    cpu_seconds: float = -1.0
    alive: float | None = None
    step: object = None
    began: float = 0.0
