"""The places where workers live, and which of them are out of use: shard after shard dies there.

A faulty GPU is quick: its workers die at once, start again, and take the next shard while healthy
ones compute. So a place where several shards in a row have died gets no more of them, as long as
there is another one. It is tried again after a pause, which doubles: what was wrong may be over,
and shards that die wherever they are must not close one place after the other for good.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

logger = logging.getLogger(__name__)

DEATHS_PARDONED = 3
"""Deaths of a span, at places that may be at fault themselves, that are no attempts at it."""

DEATHS_IN_A_ROW = 3
"""Deaths after which a place is out of use."""

_FIRST_PAUSE_SECONDS = 300.0
_DOUBLINGS = 4


@dataclass(frozen=True)
class Place:
    """What may be at fault for the deaths of the workers there: GPUs of a node, or the node.

    ``node`` is Ray's id of it, and ``gpus`` its numbers of those that a worker holds; none where
    workers have no GPU.
    """

    node: str
    host: str
    gpus: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"GPU {', '.join(self.gpus)} of {self.host}" if self.gpus else self.host


@dataclass
class _Record:
    """What came of a place since something was last finished there.

    ``dead`` are the shards that died, ``starting`` counts workers that died before they had any.
    """

    dead: set[str] = field(default_factory=set)
    starting: int = 0
    proven: bool = False
    out_until: float = 0.0

    @property
    def in_a_row(self) -> int:
        return len(self.dead) + self.starting


class Places:
    """Keeps count of deaths by place, for all runs of an executor.

    Args:
        clock: tells the seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._records: dict[Place, _Record] = {}
        self._deaths: dict[str, set[Place]] = {}

    def finished(self, place: Place, task_id: str, *, whole: bool) -> None:
        """Note that work on a shard was finished at a place: all of it if it is ``whole``."""
        self._records[place] = _Record(proven=True)
        if whole:
            self._deaths.pop(task_id, None)

    def seen(self, place: Place) -> None:
        """Note that there is a worker."""
        self._record(place)

    def known(self, nodes: Collection[str]) -> set[Place]:
        """Those on these nodes, by Ray's ids, where there ever was a worker."""
        return {place for place in self._records if place.node in nodes}

    def started(self, place: Place) -> None:
        """Note that a worker started there."""
        self._record(place).starting = 0

    def doubted(self, place: Place, task_id: str, others: Collection[Place]) -> bool:
        """Whether a shard's death at a place may be that place's fault rather than the shard's.

        So it may where nothing was finished there before, or other shards died there just now;
        and if there are ``others`` to try it at.
        """
        record = self._record(place)
        return bool(set(others) - {place}) and (
            not record.proven or bool(record.dead - {task_id} or record.starting)
        )

    def died(self, place: Place, task_id: str | None, reason: str) -> None:
        """Note that a worker died at a place: with a shard, or while it started."""
        record = self._record(place)
        before = record.in_a_row
        if task_id is None:
            record.starting += 1
        else:
            record.dead.add(task_id)
            self._deaths.setdefault(task_id, set()).add(place)
        over = record.in_a_row - DEATHS_IN_A_ROW
        if over < 0 or record.in_a_row == before:
            return
        pause = _FIRST_PAUSE_SECONDS * 2.0 ** min(over, _DOUBLINGS)
        record.out_until = self._clock() + pause
        logger.warning(
            "%s: work died there %d times in a row, and none of it was finished. It gets no more "
            "shards for %.0f minutes while there is another place for them. Last error: %s",
            place,
            record.in_a_row,
            pause / 60,
            reason,
        )

    def may_start_elsewhere(self, place: Place, nodes: Collection[str], attempts: int) -> bool:
        """Whether on these nodes, by Ray's ids, another place is known to try.

        That is one where fewer than so many workers in a row died before they had any work.
        """
        return any(
            other != place and self._record(other).starting < attempts
            for other in self.known(nodes)
        )

    def out_of_use(self, places: Collection[Place]) -> set[Place]:
        """Which of these places get no work now: none, where that would leave no place at all."""
        now = self._clock()
        out = {place for place in places if self._record(place).out_until > now}
        return out if out != set(places) else set()

    def suits(self, place: Place, task_id: str, places: Collection[Place]) -> bool:
        """Whether a shard may be given to a place, of those that are in use.

        Where a worker died with it, it may not, unless one has at all of them, or at two that are
        not at fault. After the first death it is not known yet whether the place broke just then.
        """
        died_at = self._deaths.get(task_id, set())
        if place not in died_at or died_at.issuperset(places):
            return True
        sound = {each for each in died_at if not self.doubted(each, task_id, places)}
        return place in sound and len(sound) > 1

    def _record(self, place: Place) -> _Record:
        return self._records.setdefault(place, _Record())
