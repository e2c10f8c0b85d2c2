"""What an executor tells of its work while it goes on, for logs, metrics and who watches."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class Attempt:
    """One step of one worker, from its start to its end or its death.

    Args:
        task_id: which shard.
        kind: what the shard is a part of, as its task says.
        span: the items [start, stop) of the shard; None where its pieces were assembled.
        number: 1 for the first try of this span.
        worker: the worker's process, as ``host:pid``.
        node: Ray's id of its node; empty in-process.
        place: where on which host it is, for people: of which GPU, if it has one; empty in-process.
        seconds: as the driver measured them, with the way there and back.
        report: what the worker said of it, in a class of the worker's own; None if it died.
        error: why it died.
    """

    task_id: str
    kind: str
    span: tuple[int, int] | None
    number: int
    worker: str
    node: str
    place: str
    seconds: float
    report: Any
    error: str | None


class Observer(Protocol):
    """Is told what happens, in the executor's own thread: it must be quick."""

    def attempted(self, attempt: Attempt) -> None:
        """A step ended, or its worker died."""
        ...

    def workers(self, busy: int, idle: int, starting: int) -> None:
        """How many workers do what, from time to time."""
        ...

    def out_of_use(self, places: Sequence[str]) -> None:
        """Which places get no more work, in words, as shards have died there; when that changes."""
        ...


class Observers:
    """Several as one."""

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers

    def attempted(self, attempt: Attempt) -> None:
        """See :meth:`Observer.attempted`."""
        for observer in self._observers:
            observer.attempted(attempt)

    def workers(self, busy: int, idle: int, starting: int) -> None:
        """See :meth:`Observer.workers`."""
        for observer in self._observers:
            observer.workers(busy, idle, starting)

    def out_of_use(self, places: Sequence[str]) -> None:
        """See :meth:`Observer.out_of_use`."""
        for observer in self._observers:
            observer.out_of_use(places)
