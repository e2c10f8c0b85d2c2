"""What a stage asks of a generator, before anything is computed."""

from collections.abc import Iterable
from dataclasses import dataclass

from ...core.calls import Calls, evaluations
from ...workers.timed_parts import Part


@dataclass(frozen=True)
class Work:
    """Images that each take the same ``calls`` of a generator, ``at_once`` of them in a shard.

    ``further`` are calls that some of them take besides, and perhaps all: how many is not known
    before. They are not counted among the evaluations.
    """

    generator: str
    images: int
    at_once: int
    calls: tuple[Calls, ...]
    further: tuple[Calls, ...] = ()

    @property
    def evaluations(self) -> int:
        """Of all images."""
        return self.images * evaluations(self.calls)


@dataclass(frozen=True)
class BankWork:
    """A generator's bank: ``latents`` of each of the ``classes``, decoded once in each worker.

    ``images`` look their starts up in it, ``at_once`` of them in a shard.
    """

    generator: str
    latents: int
    classes: int
    images: int
    at_once: int

    @property
    def evaluations(self) -> int:
        """Of one worker that meets every class."""
        return self.latents * self.classes

    @property
    def look_ups(self) -> float:
        """How often a class is looked up: in every shard that has images of it."""
        shards = -(-self.images // self.at_once)
        return min(self.images, shards * min(self.at_once, self.classes))


@dataclass(frozen=True)
class Chore:
    """What a stage computes without a generator: ``least`` to ``most`` times a ``part`` of it.

    ``name`` is what it is called where its part could not be timed.
    """

    name: str
    part: Part
    least: float
    most: float

    @classmethod
    def of(cls, name: str, part: Part, times: float) -> "Chore":
        """One of which is known how often it is done."""
        return cls(name, part, times, times)


def work_evaluations(work: Iterable[Work], banks: Iterable[BankWork]) -> int:
    """Of all images and banks."""
    return sum(each.evaluations for each in work) + sum(each.evaluations for each in banks)
