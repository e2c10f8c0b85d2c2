"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere.

Both count items, parts of items included: a shard of a slow generator takes minutes.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console
from rich.progress import BarColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar

from ...cluster.executor import Report
from ..report.durations import duration
from ..report.plain_console import PlainConsole

# Lines become rarer as a stage goes on: a day of it has some hundred.
_PLAIN_INTERVAL_SECONDS = 15.0
_PLAIN_INTERVAL_SHARE = 0.05


class Progress:
    """Follows stages and shards by what the executor reports."""

    def __init__(
        self, console: Console | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._console = console or PlainConsole(stderr=True)
        self._clock = clock
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._reported = self._total = self._failed = 0
        # Of tasks that are not reported.
        self._unreported = 0.0
        self._began = self._last_line = 0.0
        self._already = 0
        # An executor may tell of progress from a thread of its own.
        self._lock = Lock()

    def say(self, text: str) -> None:
        """A line of its own."""
        self._line(text)

    @contextmanager
    def stage(self, name: str, shards: int, items: int, done: int) -> Iterator[None]:
        """Shows a stage of so many shards and items while the block runs those not ``done``."""
        self._stage, self._failed = name, 0
        self._total = items
        self._reported = self._already = done
        self._unreported = 0.0
        self._began = self._last_line = self._clock()
        if self._console.is_terminal:
            with self._terminal_bar() as self._bar:
                self._task = self._bar.add_task(
                    name, total=self._total, completed=done, text=self._text()
                )
                try:
                    yield
                finally:
                    self._bar = None
        else:
            resumed = f", {done} done before" if done else ""
            self._line(f"{name}: {self._total} items in {shards} shards{resumed}")
            yield
            failed = f", {self._failed} failed" if self._failed else ""
            elapsed = self._clock() - self._began
            self._line(f"{name}: finished in {elapsed:.1f} s{failed}")

    def report(self, report: Report) -> None:
        """Counts a finished shard."""
        with self._lock:
            self._reported += report.rows
            self._failed += report.failed
            # Its items may be among those; the next word of them is soon.
            self._unreported = max(0.0, self._unreported - report.rows)
            self._show()

    def unreported(self, items: float) -> None:
        """Is told how many items of unfinished shards are done, parts of items included."""
        with self._lock:
            self._unreported = items
            self._show()

    @property
    def _done(self) -> float:
        return min(float(self._total), self._reported + self._unreported)

    def _show(self) -> None:
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done, text=self._text())
            return
        now = self._clock()
        interval = max(_PLAIN_INTERVAL_SECONDS, _PLAIN_INTERVAL_SHARE * (now - self._began))
        if not self._console.is_terminal and now - self._last_line > interval:
            self._last_line = now
            self._line(f"{self._stage}: {self._text()}")

    def _text(self) -> str:
        """How many items are done, at what rate, and how long the others take."""
        done = self._done
        shown = f"{done:.1f}" if done % 1 else f"{done:.0f}"
        counts = f"{shown}/{self._total} items"
        elapsed = self._clock() - self._began
        new = done - self._already
        if new <= 0 or elapsed <= 0:
            return counts
        rate = new / elapsed
        per = f"{rate:.1f} items/s" if rate >= 1 else f"{1 / rate:.1f} s an item"
        return f"{counts}, {per}, {duration((self._total - done) / rate)} left"

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)

    def _terminal_bar(self) -> Bar:
        return Bar(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TextColumn("{task.fields[text]}"),
            TimeElapsedColumn(),
            console=self._console,
        )
