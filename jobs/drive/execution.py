"""The executor that a spec's ``cluster`` section asks for."""

import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

from ...cluster.executor import Executor
from ...cluster.resources import WorkerResources
from ...cluster.serial_executor import SerialExecutor
from ...workers.runner import WorkerFactory
from ..audits import stages_of
from ..plan.stage import PlanContext
from ..spec.audit import AuditSpec, ClusterSpec
from ..spec.facts import Facts
from .devices import Devices, joined_devices, local_devices


@contextmanager
def open_executor(spec: AuditSpec, facts: Facts) -> Iterator[tuple[Executor, Devices]]:
    """An executor for as long as the block lasts, and what its workers are to compute on.

    A local Ray starts and ends with it.

    Raises:
        ClusterError: when the Ray cluster cannot be started or joined.
    """
    cluster = spec.cluster
    if cluster.executor == "serial":
        yield SerialExecutor(), local_devices(cluster, facts)
        return
    from ...cluster.ray_executor import node_resources
    from ...cluster.ray_session import ray_session

    if not cluster.is_joined:
        devices = local_devices(cluster, facts)
        with (
            ray_session(None, _resources(cluster, devices)),
            _ray_executor(spec, devices) as executor,
        ):
            yield executor, devices
        return
    # What it has is seen once it is joined; what workers need is of no matter for that.
    with ray_session(cluster.address, WorkerResources()):
        devices = joined_devices(cluster, node_resources(), facts)
        with _ray_executor(spec, devices) as executor:
            yield executor, devices


@contextmanager
def _ray_executor(spec: AuditSpec, devices: Devices) -> Iterator[Executor]:
    """An executor on the Ray that this process is connected to."""
    from ...cluster.patience import Patience
    from ...cluster.ray_executor import RayExecutor

    cluster = spec.cluster
    patience = Patience(cluster.heartbeat_seconds, cluster.shard_seconds)
    resources, paths = _resources(cluster, devices), import_paths(spec)
    with closing(RayExecutor(resources, import_paths=paths, patience=patience)) as executor:
        yield executor


def _resources(cluster: ClusterSpec, devices: Devices) -> WorkerResources:
    return WorkerResources(
        workers=cluster.workers,
        cpus_per_worker=cluster.cpus_per_worker,
        gpus_per_worker=devices.gpus_per_worker,
        memory_per_worker=cluster.memory_per_worker,
        custom_per_worker=cluster.resources_per_worker,
        min_workers=cluster.min_workers,
        max_workers=cluster.max_workers,
        # A Ray on this machine alone never grows.
        autoscaling=cluster.address is not None and cluster.max_workers is not None,
    )


@contextmanager
def terminate_as_interrupt() -> Iterator[None]:
    """SIGTERM, and SIGHUP of a terminal that closes, end what is in the block as SIGINT does.

    A SIGHUP that is ignored stays so: that is what ``nohup`` asks for. Signals reach the main
    thread alone: in another one nothing is changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
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


def worker_factory(context: PlanContext, devices: Devices) -> WorkerFactory:
    """How workers of this run are made; the same threads under every executor, for equal sums."""
    spec = context.spec
    costs = {stage.name: stage.cost(context) for stage in stages_of(spec)}
    threads = max(1, int(spec.cluster.cpus_per_worker))
    return WorkerFactory(
        context.run.storage,
        threads,
        gpu_share=devices.gpus_per_worker,
        service=spec.cluster.storage.patient_settings,
        tf32=spec.cluster.tf32,
        evaluations={
            name: cost.item_evaluations for name, cost in costs.items() if cost.item_evaluations
        },
    )


def import_paths(spec: AuditSpec) -> list[Path]:
    """The folders of users' own modules."""
    return [Path(path) for path in spec.import_paths]
