"""The executor for one machine or a cluster: Ray actors, fed by one loop.

Ray places the workers, starts their processes and notices their deaths. The loop does the rest,
because only it can count attempts per shard: Ray restarts nothing and retries nothing.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray import cloudpickle
from ray.exceptions import GetTimeoutError

from .actor_pool import DEATHS, ActorPool
from .executor import Report, Schedule, Tasks, WorkerFactory
from .heartbeats import Watch
from .idle_actors import IdleActors, Running
from .memory_pressure import MemoryPressure
from .metrics import RayMetrics
from .observer import Observer, Observers
from .patience import Patience
from .places import Places
from .ray_errors import ClusterError
from .resources import WorkerResources
from .worker_process import HEARTBEAT_GROUP, WorkerProcess

logger = logging.getLogger(__name__)

_ANSWER_SECONDS = 10.0
_PATIENCE = Patience()


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
        patience: how long a worker may give no sign of life before it is ended and replaced, which
            counts as an attempt.
    """

    def __init__(
        self,
        resources: WorkerResources,
        max_attempts: int = 2,
        import_paths: Sequence[Path] = (),
        idle_seconds: float = 60.0,
        patience: Patience = _PATIENCE,
    ) -> None:
        self._resources = resources
        self._max_attempts = max_attempts
        self._idle_seconds = idle_seconds
        self._patience = patience
        self._import_paths = [str(path.resolve()) for path in import_paths]
        self._places = Places()
        self._warm: list[Running] = []
        self._warm_arguments: tuple[list[str], bytes] | None = None

    def run(
        self,
        tasks: Tasks,
        factory: WorkerFactory,
        on_report: Callable[[Report], None],
        observer: Observer | None = None,
        on_progress: Callable[[float], None] | None = None,
    ) -> None:
        """See :meth:`offmanifold.cluster.executor.Executor.run`.

        Raises:
            WorkerDiedError: worker processes die before they have any work.
            ClusterError: no node of the cluster is large enough for one worker.
        """
        if not len(tasks):
            return
        workers = min(len(tasks), self._worker_count())
        schedule = Schedule(tasks, self._max_attempts)
        device = "gpu" if self._resources.gpus_per_worker else "cpu"
        metrics = RayMetrics(str(ray.get_runtime_context().get_job_id()), device)
        arguments = self._start_arguments(factory)
        warm = self._take_warm(max(workers, self._resources.min_workers), arguments)
        pool = ActorPool(
            schedule,
            workers,
            self._actor_class(),
            self._resources.room,
            arguments,
            IdleActors(warm, self._resources.min_workers, self._idle_seconds),
            Watch(self._patience),
            MemoryPressure(self._patience.memory_seconds),
            self._places,
            metrics if observer is None else Observers([metrics, observer]),
        )
        try:
            pool.drain(self._max_attempts, on_report, on_progress)
        except BaseException:
            pool.kill()
            raise
        self._warm, self._warm_arguments = pool.release_idle(), arguments

    def close(self) -> None:
        """End the actors that the last run left idle, which hold their CPUs and GPUs."""
        self._take_warm(0, None)

    def _take_warm(self, wanted: int, arguments: tuple[list[str], bytes] | None) -> list[Running]:
        """Those idle actors that are alive and started with ``arguments``; the others end.

        Where there are more, those go that are at places out of use.
        """
        warm, self._warm = self._warm, []
        alive = [running for running in warm if _is_alive(running)]
        known = {running.place for running in alive if running.place is not None}
        out = self._places.out_of_use(known)
        alive.sort(key=lambda running: running.place in out)
        taken = alive[:wanted] if arguments == self._warm_arguments else []
        for running in warm:
            if running not in taken:
                ray.kill(running.actor)
        return taken

    def _worker_count(self) -> int:
        nodes = list(node_resources().values())
        count = self._resources.worker_count(nodes)
        if self._resources.fit(nodes) == 0:
            wanted = self._resources.per_worker
            missing = (
                f"a worker needs {_listed(wanted, wanted)}, but no node of the cluster has them: "
                + "; ".join(_listed(wanted, node) for node in nodes)
            )
            if count == 0:
                raise ClusterError(
                    f"{missing}. Ask for less in the spec's cluster section, or add a larger node."
                )
            logger.warning(
                "%s. Waiting for the cluster to add a node that does; if it never can, this "
                "wait never ends (see `ray status`)",
                missing,
            )
        return count

    def _actor_class(self) -> Any:
        options: dict[str, Any] = {
            "num_cpus": self._resources.cpus_per_worker,
            "num_gpus": self._resources.gpus_per_worker,
            "memory": self._resources.memory_per_worker,
            "resources": dict(self._resources.custom_per_worker),
            "max_restarts": 0,
            "max_task_retries": 0,
            "concurrency_groups": {HEARTBEAT_GROUP: 1},
        }
        return ray.remote(**options)(WorkerProcess)

    def _start_arguments(self, factory: WorkerFactory) -> tuple[list[str], bytes]:
        return self._import_paths, cloudpickle.dumps(factory)


def node_resources() -> dict[str, Mapping[str, float]]:
    """By its id, the resources of each node that is alive, by Ray's names; Ray must be joined."""
    return {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}


def _is_alive(running: Running) -> bool:
    """Whether an idle actor answers; one that died meanwhile must not cost a shard an attempt."""
    try:
        ray.get(running.actor.__ray_ready__.remote(), timeout=_ANSWER_SECONDS)
    except (*DEATHS, GetTimeoutError):
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
