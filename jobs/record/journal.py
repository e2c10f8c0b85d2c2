"""The log of a run, in its ``_log`` folder: a JSON line for every attempt at a shard.

Of each executor of a driver there are files of lines, and while it works one that says how many
workers it has.
Stores such as S3 append nothing, so that the file of the last lines is written again as a whole;
it is closed and a new one begun before that costs much.
"""

import json
import logging
import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Lock
from typing import Any

from ...cluster.observer import Attempt
from ...cluster.storage import Storage, StorageError
from ...workers.runner import ShardReport

logger = logging.getLogger(__name__)

FOLDER = "_log"
LINES_SUFFIX = ".jsonl"
WORKERS_SUFFIX = ".workers.json"
LINES_A_FILE = 500
_WRITE_SECONDS = 10.0


class Journal:
    """Writes the log; an :class:`~offmanifold.cluster.observer.Observer` of the executor."""

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        began = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        self._name = f"{FOLDER}/{began}-{socket.gethostname()}-{secrets.token_hex(4)}"
        # Lines come from the thread of an executor, and from others that find damage.
        self._lock = Lock()
        self._lines: list[str] = []
        self._file = 0
        self._written = -_WRITE_SECONDS
        self._workers: dict[str, Any] = {}
        self._out_of_use: list[str] = []
        self.ever_out_of_use: set[str] = set()
        """Every GPU or node that got no more shards at some time, as they died there."""

    def attempted(self, attempt: Attempt) -> None:
        """Adds the line of an attempt."""
        self._add(_line(attempt))

    def damaged(self, part: str, problem: str) -> None:
        """Adds the line of a part that is moved aside, to be computed again."""
        self._add({"time": _now(), "damaged": part, "problem": problem})

    def workers(self, busy: int, idle: int, starting: int) -> None:
        """Notes how many workers there are."""
        self._workers = {"busy": busy, "idle": idle, "starting": starting}
        with self._lock:
            self._write_now_and_then()

    def out_of_use(self, places: Sequence[str]) -> None:
        """Adds the line of the places that get no more shards now."""
        self._out_of_use = list(places)
        self.ever_out_of_use.update(places)
        self._add({"time": _now(), "out_of_use": self._out_of_use})

    def close(self) -> None:
        """Writes what is left; no driver is at work any more."""
        with self._lock:
            self._write_lines()
        self._storage.delete(self._name + WORKERS_SUFFIX)

    def _add(self, line: dict[str, Any]) -> None:
        with self._lock:
            self._lines.append(json.dumps(line))
            self._write_now_and_then()

    def _write_now_and_then(self) -> None:
        if self._clock() - self._written < _WRITE_SECONDS:
            return
        self._written = self._clock()
        try:
            self._write_lines()
            state = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
            told = {**state, **self._workers, "out_of_use": self._out_of_use}
            content = json.dumps(told).encode()
            self._storage.write(self._name + WORKERS_SUFFIX, content)
        except StorageError as error:
            # A store that refuses parts too ends the run by itself; the log alone must not.
            logger.warning("the run's log could not be written: %s", error)

    def _write_lines(self) -> None:
        if not self._lines:
            return
        content = "".join(line + "\n" for line in self._lines).encode()
        self._storage.write(f"{self._name}-{self._file:04d}{LINES_SUFFIX}", content)
        if len(self._lines) >= LINES_A_FILE:
            self._lines, self._file = [], self._file + 1


@contextmanager
def journal(storage: Storage) -> Iterator[Journal]:
    """The log of this driver, for as long as it works."""
    log = Journal(storage)
    try:
        yield log
    finally:
        try:
            log.close()
        except StorageError as error:
            logger.warning("the end of the run's log could not be written: %s", error)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _line(attempt: Attempt) -> dict[str, Any]:
    report = attempt.report
    return {
        "time": _now(),
        "stage": attempt.kind,
        "shard": attempt.task_id,
        "items": attempt.span,
        "attempt": attempt.number,
        "worker": attempt.worker,
        "node": attempt.node,
        "place": attempt.place,
        "seconds": round(attempt.seconds, 3),
        "rows": None if report is None else report.rows,
        "failed": None if report is None else report.failed,
        "published": None if report is None else report.published,
        "device_bytes": report.device_bytes if isinstance(report, ShardReport) else None,
        "died": attempt.error,
    }
