"""Progress of a run on stderr: a bar on a terminal, plain lines elsewhere."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import (
    Progress as Bar,
)

from ...cluster.executor import Report
from ..report.plain_console import PlainConsole

_PLAIN_INTERVAL_SECONDS = 15.0


class Progress:
    """Follows stages and shards by the executor's reports."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or PlainConsole(stderr=True)
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._stage = ""
        self._done = self._total = self._failed = 0
        self._began = self._last_line = 0.0
        self._already = 0

    def say(self, text: str) -> None:
        """A line of its own."""
        self._line(text)

    @contextmanager
    def stage(self, name: str, shards: int, items: int, done: int) -> Iterator[None]:
        """Shows a stage of so many shards and items while the block runs those not ``done``."""
        self._stage, self._failed = name, 0
        self._total = items
        self._done = self._already = done
        self._began = self._last_line = time.monotonic()
        if self._console.is_terminal:
            with self._terminal_bar() as self._bar:
                self._task = self._bar.add_task(name, total=self._total, completed=self._done)
                yield
            self._bar = None
        else:
            resumed = f", {self._done} done before" if self._done else ""
            self._line(f"{name}: {self._total} items in {shards} shards{resumed}")
            yield
            failed = f", {self._failed} failed" if self._failed else ""
            elapsed = time.monotonic() - self._began
            self._line(f"{name}: finished in {elapsed:.1f} s{failed}")

    def report(self, report: Report) -> None:
        """Counts a finished shard."""
        self._done += report.rows
        self._failed += report.failed
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=self._done)
        elif time.monotonic() - self._last_line > _PLAIN_INTERVAL_SECONDS:
            self._last_line = time.monotonic()
            self._line(f"{self._stage}: {self._done}/{self._total} items{self._remaining()}")

    def _remaining(self) -> str:
        elapsed = time.monotonic() - self._began
        rate = (self._done - self._already) / elapsed
        return f", {rate:.1f} items/s, {(self._total - self._done) / rate:.0f} s left"

    def _line(self, text: str) -> None:
        self._console.print(text, highlight=False, markup=False)

    def _terminal_bar(self) -> Bar:
        return Bar(
            TextColumn("{task.description:<12}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
        )
