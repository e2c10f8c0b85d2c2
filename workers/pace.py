"""How far a worker is, and how many items it computes before it saves their rows.

Both are measured by the calls of the generator: how many a shard takes is planned, how long they
take is seen. Nothing here is part of what a shard is (`shard`): rows do not depend on it.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

# What of a shard would take longer than the first of these, in seconds, is computed in spans of
# the second.
_LONGEST = 100.0
_CHOSEN = 50.0
# How long a span that may turn out to be too long is watched: what comes first is not like the
# rest, that takes some seconds to tell, and later too much would be lost by beginning again.
_PRELUDE = 5.0
_WATCHED = 5.0
_LATEST = 30.0


class TooLongError(Exception):
    """A span would take too long to be lost at once: it is to be begun again, with fewer items."""


@dataclass
class _Spans:
    """The spans of one kind: their ``items``, and the seconds of each length that was measured.

    What a span takes is ``fixed`` + ``per_item`` x items. On a GPU that is not busy, and wherever
    rows are filled up to a block, few items take as long as many: two lengths show that.
    """

    items: int
    measured: dict[int, float] = field(default_factory=dict)

    def took(self, items: int, seconds: float) -> None:
        """Learns from a span that is finished; one of fewer items, at a shard's end, tells less."""
        if items < self.items:
            return
        self.measured[items] = seconds
        other = max(self.measured, key=lambda each: abs(each - items))
        if other == items:
            # Nobody knows yet what a shorter one saves.
            self.items = items // 2 if items > 1 and seconds > _CHOSEN else 2 * items
            return
        slope = (seconds - self.measured[other]) / (items - other)
        per_item = max(slope, 1e-6 * seconds)
        wanted = _best_items(max(0.0, seconds - per_item * items), per_item)
        self.items = _power_of_two(min(wanted, 2 * max(self.measured)))


def _power_of_two(items: float) -> int:
    """The next lower one, for so are the blocks that rows are filled up to; at least 1."""
    return 1 << (max(1, int(items)).bit_length() - 1)


def _best_items(fixed: float, per_item: float) -> float:
    """How many items are computed at once where a span takes ``fixed`` + ``per_item`` x items.

    As many as take the chosen time, or more where that would be spent on the fixed cost: up to the
    longest time, so that this is a quarter of it at most, and beyond, so that it is half at most.
    """
    quarter = min(3 * fixed / per_item, (_LONGEST - fixed) / per_item)
    return max((_CHOSEN - fixed) / per_item, quarter, fixed / per_item)


@dataclass
class _Running:
    """What is being computed.

    ``since`` is when it first called its generator, ``watched`` when and after how many evaluations
    the prelude was over, and ``seen`` whether it was foreseen how long it takes.
    """

    kind: Hashable
    items: int
    planned: float
    began: float
    since: float | None = None
    evaluated: int = 0
    watched: tuple[float, int] | None = None
    seen: bool = False


class Pace:
    """How far a worker is with a shard, and how long the spans are in which it computes it.

    A shard is computed whole, until it is seen of one of its kind that this takes too long.

    Args:
        planned: the generator's evaluations for an item, by stage; none for those without.
        clock: in seconds.
    """

    def __init__(
        self, planned: Mapping[str, float], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._planned = planned
        self._clock = clock
        # Evaluations of an item as they were counted, by kind.
        self._counted: dict[Hashable, float] = {}
        self._spans: dict[Hashable, _Spans] = {}
        self._running: _Running | None = None
        self._before = 0
        # Seconds that were spent aside, and whether more are now.
        self._spent_aside = 0.0
        self._is_aside = False

    @contextmanager
    def aside(self) -> Iterator[None]:
        """What the block computes, and how long it takes, is of no shard: it is kept for many."""
        began, self._is_aside = self._clock(), True
        try:
            yield
        finally:
            self._is_aside = False
            self._spent_aside += self._clock() - began

    def _now(self) -> float:
        return self._clock() - self._spent_aside

    @property
    def done(self) -> float:
        """How many items of the present call are done, parts of items included; 0 between calls.

        May be read from any thread.
        """
        running, before = self._running, self._before
        if running is None or not running.planned:
            return float(before)
        return before + running.items * min(1.0, running.evaluated / running.planned)

    def items(self, kind: Hashable, left: int) -> int:
        """How many of the ``left`` items of a shard of a kind are computed next."""
        spans = self._spans.get(kind)
        return left if spans is None else min(left, spans.items)

    @contextmanager
    def span(self, stage: str, kind: Hashable, before: int, items: int) -> Iterator[None]:
        """Follows the computation of so many items, which the block does.

        ``before`` are those of the same call that are done. The block may raise
        :class:`TooLongError`, after which :meth:`items` are fewer.
        """
        planned = self._counted.get(kind, self._planned.get(stage, 0.0)) * items
        began = self._now()
        running = _Running(kind, items, planned, began)
        self._before, self._running = before, running
        try:
            yield
        finally:
            self._running, self._before = None, 0
        seconds = self._now() - (began if running.since is None else running.since)
        if running.evaluated:
            self._counted[kind] = running.evaluated / items
        if kind in self._spans:
            self._spans[kind].took(items, seconds)
        elif seconds > _LONGEST and items > 1:
            self._spans[kind] = _first_spans(items, seconds)

    def evaluating(self, rows: int) -> None:
        """Is told of a generator's call that is about to be made.

        Raises:
            TooLongError: the span that it is made for would take too long.
        """
        running = self._running
        if running is None or self._is_aside:
            return
        now = self._now()
        if running.since is None:
            running.since = now
        if running.watched is None:
            if running.evaluated and now - running.since >= _PRELUDE:
                running.watched = (now, running.evaluated)
        else:
            began, before = running.watched
            # A single call may take longer than that: what comes first is seen in any case.
            in_time = now - running.since <= _LATEST or not running.seen
            if in_time and running.evaluated > before and now - began >= _WATCHED:
                running.seen = True
                rate = (running.evaluated - before) / (now - began)
                self._foresee(running, running.planned / rate)
        running.evaluated += rows

    def _foresee(self, running: _Running, whole: float) -> None:
        """Ends a span of several items that is foreseen to take too many seconds."""
        if whole > _LONGEST and running.items > 1 and running.kind not in self._spans:
            self._spans[running.kind] = _first_spans(running.items, whole)
            raise TooLongError


def _first_spans(items: int, seconds: float) -> _Spans:
    """Those of which nothing is known but how long that many take."""
    return _Spans(_power_of_two(_CHOSEN * items / seconds))
