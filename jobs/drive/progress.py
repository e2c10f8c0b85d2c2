"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere.

Both count items, parts of items included: a shard of a slow generator takes minutes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import RLock

from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ...cluster.executor import Report
from ..report.durations import duration
from ..report.plain_console import PlainConsole

# Lines become rarer as a stage goes on: a day of it has some hundred.
_PLAIN_INTERVAL_SECONDS = 15.0
_PLAIN_INTERVAL_SHARE = 0.05
# Of an item: a rate by less is that of the first step of a long search, and days are "left".
_RATED_FROM = 0.1


class Progress:
    """Follows stages, of which several may run at the same time, in threads of their own."""

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console or PlainConsole(stderr=True)
        self._clock = clock
        self._bar: Bar | None = None
        self._stages = 0
        # Stages, and the executor of each, may tell of progress from threads of their own.
        self._lock = RLock()

    def say(self, text: str) -> None:
        """A line of its own."""
        self._console.print(text, highlight=False, markup=False)

    @contextmanager
    def stage(self, name: str, shards: int, items: int, done: int) -> Iterator["StageProgress"]:
        """Shows a stage of so many shards and items while the block runs those not ``done``."""
        if self._console.is_terminal:
            with self._shared_bar() as bar:

                def draw(progress: StageProgress) -> None:
                    bar.update(task, completed=progress.done, text=progress.text())

                stage = StageProgress(items, done, self._clock, self._lock, draw)
                task = bar.add_task(name, total=items, completed=done, text=stage.text())
                yield stage
            return
        resumed = f", {done} done before" if done else ""
        self.say(f"{name}: {items} items in {shards} shards{resumed}")
        began = last = self._clock()

        def line(progress: StageProgress) -> None:
            nonlocal last
            now = self._clock()
            if now - last > max(_PLAIN_INTERVAL_SECONDS, _PLAIN_INTERVAL_SHARE * (now - began)):
                last = now
                self.say(f"{name}: {progress.text()}")

        stage = StageProgress(items, done, self._clock, self._lock, line)
        yield stage
        failed = f", {stage.failed} failed" if stage.failed else ""
        self.say(f"{name}: finished in {self._clock() - began:.1f} s{failed}")

    @contextmanager
    def _shared_bar(self) -> Iterator[Bar]:
        """The bar of all stages that run now: a terminal has room for one."""
        with self._lock:
            if self._bar is None:
                self._bar = self._new_bar()
                self._bar.start()
            bar = self._bar
            self._stages += 1
        try:
            yield bar
        finally:
            with self._lock:
                self._stages -= 1
                if self._stages == 0:
                    self._bar = None
                    bar.stop()

    def _new_bar(self) -> Bar:
        return Bar(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=self._console,
        )


class StageProgress:
    """How far a stage is, by what its executor reports.

    Args:
        items: how many it has.
        done: how many were done before.
        clock: tells the seconds.
        lock: held while ``show`` is called.
        show: called whenever more is known.
    """

    def __init__(
        self,
        items: int,
        done: int,
        clock: Callable[[], float],
        lock: AbstractContextManager[object],
        show: Callable[["StageProgress"], None],
    ) -> None:
        self._total = items
        self._reported = self._already = done
        # Of tasks that are not reported.
        self._unreported = 0.0
        self.failed = 0
        self._clock = clock
        self._began = clock()
        self._lock = lock
        self._show = show

    def report(self, report: Report) -> None:
        """Counts a finished shard."""
        with self._lock:
            self._reported += report.rows
            self.failed += report.failed
            # Its items may be among those; the next word of them is soon.
            self._unreported = max(0.0, self._unreported - report.rows)
            self._show(self)

    def unreported(self, items: float) -> None:
        """Is told how many items of unfinished shards are done, parts of items included."""
        with self._lock:
            self._unreported = items
            self._show(self)

    @property
    def done(self) -> float:
        """How many items are done, parts of items included."""
        return min(float(self._total), self._reported + self._unreported)

    def text(self) -> str:
        """How many items are done, at what rate, and how long the others take."""
        done = self.done
        shown = f"{done:.1f}" if done % 1 else f"{done:.0f}"
        counts = f"{shown}/{self._total} items"
        elapsed = self._clock() - self._began
        new = done - self._already
        if new < _RATED_FROM or elapsed <= 0:
            return counts
        rate = new / elapsed
        per = f"{rate:.1f} items/s" if rate >= 1 else f"{1 / rate:.1f} s an item"
        return f"{counts}, {per}, {duration((self._total - done) / rate)} left"
