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

from .actor_pool import ActorPool
from .executor import Report, Schedule, Tasks, WorkerFactory
from .heartbeats import Watch
from .idle_actors import IdleActors
from .memory_pressure import MemoryPressure
from .metrics import RayMetrics
from .observer import Observer, Observers
from .patience import Patience
from .places import Places
from .ray_errors import ClusterError
from .resources import WorkerResources
from .worker_process import HEARTBEAT_GROUP, WorkerProcess

logger = logging.getLogger(__name__)

_PATIENCE = Patience()


class RayExecutor:
    """Runs tasks on Ray actors of the Ray that the calling process is connected to.

    Needs :func:`~offmanifold.cluster.ray_session.ray_session` around it. Never has more actors
    than there are tasks to run; an actor has one task at a time, and ends with the run.

    Args:
        resources: what each worker gets, and how many workers; ``workers=None`` fills the cluster,
            and nodes that join it later.
        max_attempts: how often a span of items may kill its worker before it is halved, or being
            a single item is given up.
        idle_seconds: how long a worker may find nothing to do before it ends and gives back what
            it holds; ``min_workers`` of them stay.
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
            WorkerDiedError: worker processes die before they have any work.
            ClusterError: no node of the cluster is large enough for one worker.
        """
        schedule = Schedule(tasks, self._max_attempts)
        if not schedule.take_up(1):
            return
        self._require_place()
        device = "gpu" if self._resources.gpus_per_worker else "cpu"
        metrics = RayMetrics(str(ray.get_runtime_context().get_job_id()), device)
        pool = ActorPool(
            schedule,
            self._worker_count,
            self._actor_class(),
            self._resources.room,
            (self._import_paths, cloudpickle.dumps(factory)),
            IdleActors(self._resources.min_workers, self._idle_seconds),
            Watch(self._patience),
            MemoryPressure(self._patience.memory_seconds),
            Places(),
            metrics if observer is None else Observers([metrics, observer]),
        )
        try:
            pool.drain(self._max_attempts, on_report, on_progress)
        finally:
            pool.kill()

    def _worker_count(self) -> int:
        return self._resources.worker_count(list(node_resources().values()))

    def _require_place(self) -> None:
        """Says where no node can hold a worker, and ends where none ever will."""
        nodes = list(node_resources().values())
        if self._resources.fit(nodes):
            return
        wanted = self._resources.per_worker
        missing = (
            f"a worker needs {_listed(wanted, wanted)}, but no node of the cluster has them: "
            + "; ".join(_listed(wanted, node) for node in nodes)
        )
        if self._resources.worker_count(nodes) == 0:
            raise ClusterError(
                f"{missing}. Ask for less in the spec's cluster section, or add a larger node."
            )
        logger.warning(
            "%s. Waiting for the cluster to add a node that does; if it never can, this "
            "wait never ends (see `ray status`)",
            missing,
        )

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


def node_resources() -> dict[str, Mapping[str, float]]:
    """By its id, the resources of each node that is alive, by Ray's names; Ray must be joined."""
    return {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}


def _listed(wanted: Iterable[str], amounts: Mapping[str, float]) -> str:
    """Amounts of resources in words, such as ``4 CPU, 0.5 GPU, 8 GiB memory``."""
    return ", ".join(
        f"{amounts.get(name, 0) / 2**30:.3g} GiB memory"
        if name == "memory"
        else f"{amounts.get(name, 0):g} {name}"
        for name in wanted
    )
