"""The executor for one machine or a cluster: Ray actors, fed by one loop.

Ray places the workers, starts their processes and notices their deaths. The loop does the rest,
because only it can count attempts per shard: Ray restarts nothing and retries nothing.
"""

import logging
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import (
    GetTimeoutError,
    NodeDiedError,
    OutOfMemoryError,
    RayActorError,
    RayTaskError,
    WorkerCrashedError,
)

from .executor import (
    AssembleStep,
    Report,
    Schedule,
    Step,
    Task,
    Worker,
    WorkerDiedError,
    WorkerFactory,
)
from .idle_actors import IdleActors, Running
from .metrics import ShardCounters
from .ray_session import ClusterError
from .resources import Resources

logger = logging.getLogger(__name__)

_ANSWER_SECONDS = 10.0
_DEATHS = (RayActorError, NodeDiedError, OutOfMemoryError, WorkerCrashedError)


class _WorkerProcess:
    """The actor. It is made empty, so that an error of the factory arrives as an ordinary one."""

    def __init__(self) -> None:
        self._worker: Worker | None = None

    def start(self, import_paths: Sequence[str], pickled_factory: bytes) -> str:
        """Make the worker; the id of the node that it lives on."""
        # The factory is unpickled only here, where the user's own modules can be found.
        sys.path[:0] = import_paths
        self._worker = cloudpickle.loads(pickled_factory)()
        return str(ray.get_runtime_context().get_node_id())

    def perform(self, pickled_step: bytes) -> Report:
        """Run one step."""
        if self._worker is None:
            raise RuntimeError("the worker was given work before it was started")
        step: Step | AssembleStep = cloudpickle.loads(pickled_step)
        return step.perform(self._worker)


class RayExecutor:
    """Runs tasks on Ray actors of the Ray that the calling process is connected to.

    Needs :func:`~offmanifold.cluster.ray_session.ray_session` around it. Never has more actors
    than there are tasks; an actor has one task at a time. Actors stay for the next run, since
    opening a model takes seconds; :meth:`close` ends them.

    Args:
        resources: what each worker gets, and how many workers; ``workers=None`` fills the cluster.
        max_attempts: how often a span of items may kill its worker before it is halved, or being
            a single item is given up.
        idle_seconds: how long a worker may find nothing to do, at the end of a run, before it
            ends and gives back what it holds; ``min_workers`` of them stay.
        import_paths: folders put ahead on the workers' ``sys.path``, for modules of the user's
            own. They must exist under the same path on every node.
    """

    def __init__(
        self,
        resources: Resources,
        max_attempts: int = 2,
        import_paths: Sequence[Path] = (),
        idle_seconds: float = 60.0,
    ) -> None:
        self._resources = resources
        self._max_attempts = max_attempts
        self._idle_seconds = idle_seconds
        self._import_paths = [str(path.resolve()) for path in import_paths]
        self._warm: list[Running] = []
        self._warm_arguments: tuple[list[str], bytes] | None = None

    def run(
        self,
        tasks: Sequence[Task],
        factory: WorkerFactory,
        on_report: Callable[[Report], None],
    ) -> None:
        """See :meth:`offmanifold.cluster.executor.Executor.run`.

        Raises:
            WorkerDiedError: worker processes die before they have any work.
            ClusterError: no node of the cluster is large enough for one worker.
        """
        if not tasks:
            return
        workers = min(len(tasks), self._worker_count())
        schedule = Schedule(tasks, self._max_attempts)
        counters = ShardCounters()

        def count_and_report(report: Report) -> None:
            counters.add(report)
            on_report(report)

        arguments = self._start_arguments(factory)
        warm = self._take_warm(max(workers, self._resources.min_workers), arguments)
        pool = _Pool(
            schedule,
            workers,
            self._actor_class(),
            arguments,
            IdleActors(warm, self._resources.min_workers, self._idle_seconds),
        )
        try:
            pool.drain(self._max_attempts, count_and_report)
        except BaseException:
            pool.kill()
            raise
        self._warm, self._warm_arguments = pool.release_idle(), arguments

    def close(self) -> None:
        """End the actors that the last run left idle, which hold their CPUs and GPUs."""
        self._take_warm(0, None)

    def _take_warm(self, wanted: int, arguments: tuple[list[str], bytes] | None) -> list[Running]:
        """Those idle actors that are alive and started with ``arguments``; the others end."""
        warm, self._warm = self._warm, []
        alive = [running for running in warm if _is_alive(running)]
        taken = alive[:wanted] if arguments == self._warm_arguments else []
        for running in warm:
            if running not in taken:
                ray.kill(running.actor)
        return taken

    def _worker_count(self) -> int:
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        count = self._resources.worker_count(nodes)
        if count == 0:
            wanted = self._resources.per_worker
            raise ClusterError(
                f"a worker needs {_listed(wanted, wanted)}, and no node of the cluster has them: "
                + "; ".join(_listed(wanted, node) for node in nodes)
                + ". Ask for less in the spec's cluster section, or add a larger node."
            )
        return count

    def _actor_class(self) -> Any:
        return ray.remote(
            num_cpus=self._resources.cpus_per_worker,
            num_gpus=self._resources.gpus_per_worker,
            memory=self._resources.memory_per_worker,
            resources=dict(self._resources.custom_per_worker),
            max_restarts=0,
            max_task_retries=0,
        )(_WorkerProcess)

    def _start_arguments(self, factory: WorkerFactory) -> tuple[list[str], bytes]:
        return self._import_paths, cloudpickle.dumps(factory)


class _Pool:
    """The actors of one run, and the loop that feeds them."""

    def __init__(
        self,
        schedule: Schedule,
        workers: int,
        actor_class: Any,
        start_arguments: tuple[Any, ...],
        idle: IdleActors,
    ) -> None:
        self._schedule = schedule
        self._workers = workers
        self._actor_class = actor_class
        self._start_arguments = start_arguments
        self._running: dict[Any, Running] = {}
        self._idle = idle
        self._deaths_while_starting = 0

    def drain(self, max_attempts: int, on_report: Callable[[Report], None]) -> None:
        """Run until every task of the schedule is finished."""
        while self._schedule.unfinished:
            self._replace_dead()
            self._feed_idle()
            timeout = self._idle.release(busy=len(self._running))
            ready, _ = ray.wait(list(self._running), num_returns=1, timeout=timeout)
            for reference in ready:
                running = self._running.pop(reference)
                try:
                    result = ray.get(reference)
                except RayTaskError as error:
                    # The worker's own exception, rather than Ray's account of it.
                    raise error.cause from error
                except _DEATHS as error:
                    self._died(running, error, max_attempts)
                else:
                    self._finished(running, result, on_report)

    def kill(self) -> None:
        """End every actor at once; what was published stays."""
        for running in (*self._running.values(), *self._idle.actors):
            ray.kill(running.actor)

    def release_idle(self) -> list[Running]:
        """The idle actors, for the next run; those that are still starting end."""
        for running in self._running.values():
            ray.kill(running.actor)
        return self._idle.actors

    def _replace_dead(self) -> None:
        # Actors that are still waiting for a place must not make a cluster grow for nothing.
        wanted = min(self._workers, self._schedule.unfinished)
        starting = [key for key, running in self._running.items() if running.step is None]
        while starting and len(self._running) + len(self._idle) > wanted:
            ray.kill(self._running.pop(starting.pop()).actor)
        while len(self._running) + len(self._idle) < wanted:
            actor = self._actor_class.remote()
            reference = actor.start.remote(*self._start_arguments)
            self._running[reference] = Running(actor, "", None)

    def _feed_idle(self) -> None:
        while len(self._idle) and (step := self._schedule.next()) is not None:
            running = self._idle.pop()
            running.step = step
            reference = running.actor.perform.remote(cloudpickle.dumps(step))
            self._running[reference] = running

    def _finished(self, running: Running, result: Any, on_report: Callable[[Report], None]) -> None:
        if running.step is None:
            running.node_id = result
            self._deaths_while_starting = 0
        else:
            report = self._schedule.completed(running.step, result)
            if report is not None:
                on_report(report)
        running.step = None
        self._idle.add(running)

    def _died(self, running: Running, error: Exception, max_attempts: int) -> None:
        # Of an actor that is only out of reach: its work is given to another, so it has to end.
        ray.kill(running.actor)
        preempted = getattr(error, "preempted", False) or _node_is_gone(running.node_id)
        logger.warning(
            "a worker process died (%s)%s: %s",
            running.step or "starting",
            ", its node is gone" if preempted else "",
            _cause_of_death(error),
        )
        if running.step is not None:
            self._schedule.died(running.step, _cause_of_death(error), preempted=preempted)
        elif not preempted:
            self._deaths_while_starting += 1
            if self._deaths_while_starting >= max_attempts:
                raise WorkerDiedError(
                    f"worker processes died {max_attempts} times while starting, before they had "
                    f"any work, last with: {_cause_of_death(error)}"
                ) from error


def _is_alive(running: Running) -> bool:
    """Whether an idle actor answers; one that died meanwhile must not cost a shard an attempt."""
    try:
        ray.get(running.actor.__ray_ready__.remote(), timeout=_ANSWER_SECONDS)
    except (*_DEATHS, GetTimeoutError):
        return False
    return True


def _listed(wanted: Iterable[str], amounts: Mapping[str, float]) -> str:
    """Amounts of resources in words, such as ``4 CPU, 0.5 GPU, 8 GiB memory``."""
    return ", ".join(
        f"{amounts.get(name, 0) / 2**30:.3g} GiB memory"
        if name == "memory"
        else f"{amounts.get(name, 0):g} {name}"
        for name in wanted
    )


def _node_is_gone(node_id: str) -> bool:
    return any(node["NodeID"] == node_id and not node["Alive"] for node in ray.nodes())


def _cause_of_death(error: Exception) -> str:
    """Ray's message in one line, without its advice."""
    message = " ".join(str(error).split())
    return message.partition(" Some common causes include:")[0]
