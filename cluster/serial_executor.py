"""The executor for debugging: one worker, in this process, one task after another."""

from collections.abc import Callable, Sequence

from .executor import Report, Task, WorkerFactory


class SerialExecutor:
    """Runs tasks in the calling process, without Ray: a debugger can step into the worker.

    Gives the same parts as :class:`~offmanifold.cluster.ray_executor.RayExecutor`. An item that
    kills its process kills the run.
    """

    def run(
        self,
        tasks: Sequence[Task],
        factory: WorkerFactory,
        on_report: Callable[[Report], None],
    ) -> None:
        """See :meth:`offmanifold.cluster.executor.Executor.run`."""
        if not tasks:
            return
        worker = factory()
        for task in tasks:
            on_report(worker.compute(task.payload, 0, task.size))
