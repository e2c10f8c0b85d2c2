"""How far a worker is, and how many items it computes before it saves their rows.

Both are measured by the calls of the generator: how many a shard takes is planned, how long they
take is seen. Nothing here is part of what a shard is (`shard`): rows do not depend on it.
"""

import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

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
    """A span would take too long to be lost at once, or longer than it must: it is begun again."""


@dataclass
class _Spans:
    """The spans of one kind: seconds = ``fixed`` + ``per_item`` x items.

    On a GPU that is not busy, and wherever rows are filled up to a block, few items take as long as
    many: only two lengths show that. ``first`` is the one that was seen to be too long.
    """

    first: int
    per_item: float
    fixed: float = 0.0
    fitted: bool = False

    @property
    def items(self) -> int:
        """How many items a span has.

        As many as take the chosen time, but so many that no more than half of it is what a span
        takes however few they are.
        """
        return max(1, int(max(_CHOSEN - self.fixed, self.fixed) / self.per_item))

    def expected(self, items: int) -> float:
        """The seconds of a span."""
        return self.fixed + self.per_item * items

    def fit(self, items: int, seconds: float) -> None:
        """Learns from a second length, seen or foreseen as the first one was."""
        if items == self.first:
            return
        slope = (self.expected(self.first) - seconds) / (self.first - items)
        whole = self.expected(self.first)
        self.per_item = max(slope, 1e-6 * whole / self.first)
        self.fixed = max(0.0, whole - self.per_item * self.first)
        self.fitted = True

    def took(self, items: int, seconds: float) -> None:
        """Learns from a span that is finished: how long it took, against what was foreseen."""
        if not self.fitted:
            self.fit(items, seconds)
            return
        ratio = max(seconds, 1e-6) / self.expected(items)
        self.fixed *= ratio
        self.per_item *= ratio


@dataclass
class _Running:
    """What is being computed, out of ``left`` items.

    ``since`` is when it first called its generator, ``watched`` when and after how many evaluations
    the prelude was over, and ``seen`` whether it was foreseen how long it takes.
    """

    kind: Hashable
    items: int
    left: int
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
    def span(
        self, stage: str, kind: Hashable, before: int, items: int, left: int
    ) -> Iterator[None]:
        """Follows the computation of so many of the ``left`` items, which the block does.

        ``before`` are those of the same call that are done. The block may raise
        :class:`TooLongError`, after which :meth:`items` are others.
        """
        planned = self._counted.get(kind, self._planned.get(stage, 0.0)) * items
        began = self._clock()
        running = _Running(kind, items, left, planned, began)
        self._before, self._running = before, running
        try:
            yield
        finally:
            self._running, self._before = None, 0
        seconds = self._clock() - (began if running.since is None else running.since)
        if running.evaluated:
            self._counted[kind] = running.evaluated / items
        if kind in self._spans:
            self._spans[kind].took(items, seconds)
        elif seconds > _LONGEST and items > 1:
            self._spans[kind] = _Spans(items, seconds / items)

    def evaluating(self, rows: int) -> None:
        """Is told of a generator's call that is about to be made.

        Raises:
            TooLongError: the span that it is made for is better begun again with other items.
        """
        running = self._running
        if running is None:
            return
        now = self._clock()
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
        """Ends a span that is foreseen to take so many seconds, where others are better."""
        if not running.planned:
            return
        spans = self._spans.get(running.kind)
        if spans is None:
            if whole > _LONGEST and running.items > 1:
                self._spans[running.kind] = _Spans(running.items, whole / running.items)
                raise TooLongError
        elif not spans.fitted:
            spans.fit(running.items, whole)
            if min(spans.items, running.left) >= 2 * running.items:
                raise TooLongError
