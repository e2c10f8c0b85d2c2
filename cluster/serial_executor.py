"""The executor for debugging: one worker, in this process, one task after another."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext

from .executor import Report, Task, Tasks, Worker, WorkerFactory
from .observer import Attempt, Observer

_INTERVAL_SECONDS = 1.0


class SerialExecutor:
    """Runs tasks in the calling process, without Ray: a debugger can step into the worker.

    Gives the same parts as :class:`~offmanifold.cluster.ray_executor.RayExecutor`. An item that
    kills its process kills the run.
    """

    def run(
        self,
        tasks: Tasks,
        factory: WorkerFactory,
        on_report: Callable[[Report], None],
        observer: Observer | None = None,
        on_progress: Callable[[Mapping[str, float]], None] | None = None,
    ) -> None:
        """See :meth:`offmanifold.cluster.executor.Executor.run`.

        Raises:
            RuntimeError: a task waits for others, though all that came before it are reported.
        """
        worker: Worker | None = None
        for task in tasks:
            if task is None:
                raise RuntimeError("a task waits for others, and none of them is left to run")
            worker = worker or factory()
            if observer is not None:
                observer.workers(busy=1, idle=0, starting=0)
            began = time.monotonic()
            with nullcontext() if on_progress is None else _followed(worker, task, on_progress):
                report = worker.compute(task.payload, 0, task.size)
            if observer is not None:
                observer.attempted(_attempt(task, report, time.monotonic() - began))
            on_report(report)


@contextmanager
def _followed(
    worker: Worker, task: Task, on_progress: Callable[[Mapping[str, float]], None]
) -> Iterator[None]:
    """Asks the worker once a second how far it is with a task, while the block runs."""
    ended = threading.Event()

    def follow() -> None:
        while not ended.wait(_INTERVAL_SECONDS):
            on_progress({task.kind: worker.done})

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
