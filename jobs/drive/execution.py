"""The executor that a spec's ``cluster`` section asks for."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

from ...cluster.executor import Executor
from ...cluster.ray_errors import ClusterError
from ...cluster.resources import WorkerResources
from ...cluster.serial_executor import SerialExecutor
from ...cluster.storage import Storage
from ...workers.gpu_problem import gpu_problem
from ...workers.runner import WorkerFactory
from ..spec.audit import AuditSpec, ClusterSpec


@contextmanager
def open_executor(cluster: ClusterSpec, import_paths: Sequence[Path]) -> Iterator[Executor]:
    """An executor for as long as the block lasts; a local Ray starts and ends with it.

    Raises:
        ClusterError: when the Ray cluster cannot be started or joined.
    """
    if cluster.executor == "serial":
        yield SerialExecutor()
        return
    from ...cluster.patience import Patience
    from ...cluster.ray_executor import RayExecutor
    from ...cluster.ray_session import ray_session

    resources = WorkerResources(
        workers=cluster.workers,
        cpus_per_worker=cluster.cpus_per_worker,
        gpus_per_worker=cluster.gpus_per_worker,
        memory_per_worker=cluster.memory_per_worker,
        custom_per_worker=cluster.resources_per_worker,
        min_workers=cluster.min_workers,
        max_workers=cluster.max_workers,
        # A Ray on this machine alone never grows.
        autoscaling=cluster.address is not None and cluster.max_workers is not None,
    )
    patience = Patience(cluster.heartbeat_seconds, cluster.shard_seconds)
    with (
        ray_session(cluster.address, resources),
        closing(RayExecutor(resources, import_paths=import_paths, patience=patience)) as executor,
    ):
        yield executor


def require_local_gpus(cluster: ClusterSpec) -> None:
    """Refuses workers on this machine that are to have GPUs, where torch can use none.

    Raises:
        ClusterError: why, and what to do.
    """
    problem = local_gpu_problem(cluster)
    if problem is not None:
        raise ClusterError(f"cluster.gpus_per_worker is {cluster.gpus_per_worker:g}, but {problem}")


def local_gpu_problem(cluster: ClusterSpec) -> str | None:
    """What keeps workers on this machine from the GPUs that they are to have; None if nothing does.

    Nothing is said of the nodes of a cluster that is joined: theirs may be other machines.
    """
    if not cluster.gpus_per_worker or (cluster.executor == "ray" and cluster.address is not None):
        return None
    return gpu_problem()


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that closes, end what is in the block as SIGINT does.

    A SIGHUP that is ignored stays so: that is what ``nohup`` asks for.
    """
    previous = {signal.SIGTERM: signal.signal(signal.SIGTERM, _interrupt)}
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, _interrupt)
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    raise KeyboardInterrupt


def worker_factory(spec: AuditSpec, storage: Storage) -> WorkerFactory:
    """How workers of this run are made; the same threads under every executor, for equal sums."""
    threads = max(1, int(spec.cluster.cpus_per_worker))
    return WorkerFactory(
        storage,
        threads,
        gpu_share=spec.cluster.gpus_per_worker,
        service=spec.cluster.storage.patient_settings,
        tf32=spec.cluster.tf32,
    )


def import_paths(spec: AuditSpec) -> list[Path]:
    """The folders of users' own generator modules."""
    paths = {generator.import_path for generator in spec.generators if generator.import_path}
    return [Path(path) for path in sorted(paths)]
