"""The executor for debugging: one worker, in this process, one task after another."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext

from .executor import Report, Task, Tasks, Worker, WorkerFactory
from .observer import Attempt, Observer

_INTERVAL_SECONDS = 1.0


class SerialExecutor:
    """Runs tasks in the calling process, without Ray: a debugger can step into the worker.

    Gives the same parts as :class:`~offmanifold.cluster.ray_executor.RayExecutor`. An item that
    kills its process kills the run. As there, a run of the same factory goes on with the worker of
    the one before, and with what that has opened and decoded.
    """

    def __init__(self) -> None:
        self._kept: tuple[WorkerFactory, Worker] | None = None

    def run(
        self,
        tasks: Tasks,
        factory: WorkerFactory,
        on_report: Callable[[Report], None],
        observer: Observer | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """See :meth:`offmanifold.cluster.executor.Executor.run`."""
        if not len(tasks):
            return
        worker = self._taken(factory)
        with nullcontext() if on_progress is None else _followed(worker, on_progress):
            for task in tasks:
                if observer is not None:
                    observer.workers(busy=1, idle=0, starting=0)
                began = time.monotonic()
                report = worker.compute(task.payload, 0, task.size)
                if observer is not None:
                    observer.attempted(_attempt(task, report, time.monotonic() - began))
                on_report(report)
        self._kept = factory, worker

    def _taken(self, factory: WorkerFactory) -> Worker:
        """The worker of the run before, which is given up where this one fails; or a new one."""
        kept, self._kept = self._kept, None
        return kept[1] if kept is not None and kept[0] is factory else factory()


@contextmanager
def _followed(worker: Worker, on_progress: Callable[[float], None]) -> Iterator[None]:
    """Asks the worker once a second how far it is, while the block runs."""
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(_INTERVAL_SECONDS):
            on_progress(worker.done)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _attempt(task: Task, report: Report, seconds: float) -> Attempt:
    worker = f"{socket.gethostname()}:{os.getpid()}"
    span = (0, task.size)
    return Attempt(task.id, task.kind, span, 1, worker, "", "", seconds, report, None)
