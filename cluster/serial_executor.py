"""The executor for debugging: one worker, in this process, one task after another."""

import os
import socket
import time
from collections.abc import Callable

from .executor import Report, Task, Tasks, WorkerFactory
from .observer import Attempt, Observer


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
    ) -> None:
        """See :meth:`offmanifold.cluster.executor.Executor.run`."""
        if not len(tasks):
            return
        worker = factory()
        for task in tasks:
            if observer is not None:
                observer.workers(busy=1, idle=0, starting=0)
            began = time.monotonic()
            report = worker.compute(task.payload, 0, task.size)
            if observer is not None:
                observer.attempted(_attempt(task, report, time.monotonic() - began))
            on_report(report)


def _attempt(task: Task, report: Report, seconds: float) -> Attempt:
    worker = f"{socket.gethostname()}:{os.getpid()}"
    span = (0, task.size)
    return Attempt(task.id, task.kind, span, 1, worker, "", seconds, report, None)
