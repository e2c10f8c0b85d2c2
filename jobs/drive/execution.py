"""The executor that a spec's ``cluster`` section asks for."""

import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ...cluster.resources import WorkerResources
from ...cluster.serial_executor import SerialExecutor
from ...workers.runner import WorkerFactory
from ..audits import stages_of
from ..plan.stage import PlanContext
from ..spec.audit import AuditSpec, ClusterSpec
from .devices import Devices, joined_devices, local_devices
from .lanes import Lane, calls_networks, calls_none

if TYPE_CHECKING:
    from ...cluster.ray_executor import RayExecutor


@contextmanager
def open_lanes(context: PlanContext) -> Iterator[tuple[list[Lane], str]]:
    """What computes a run's stages, for as long as the block lasts, and that in words.

    Beside workers with GPUs there are others on the CPUs that these leave free, for what calls no
    network. A local Ray starts and ends with it.

    Raises:
        ClusterError: when the Ray cluster cannot be started or joined.
    """
    spec, facts = context.spec, context.facts
    cluster = spec.cluster
    if cluster.executor == "serial":
        devices = local_devices(cluster, facts)
        yield [Lane(SerialExecutor(), worker_factory(context, devices))], devices.told
        return
    from ...cluster.ray_executor import node_resources
    from ...cluster.ray_session import ray_session

    if not cluster.is_joined:
        devices = local_devices(cluster, facts)
        session = ray_session(None, _resources(cluster, devices))
    else:
        # What it has is seen once it is joined; what workers need is of no matter for that.
        session = ray_session(cluster.address, WorkerResources())
    with session:
        nodes = node_resources()
        if cluster.is_joined:
            devices = joined_devices(cluster, list(nodes.values()), facts)
        resources = _resources(cluster, devices)
        executor = _ray_executor(spec, resources)
        factory = worker_factory(context, devices)
        beside = _workers_beside(cluster, resources, nodes)
        if beside is None:
            yield [Lane(executor, factory)], devices.told
            return
        on_cpus = _ray_executor(spec, beside)
        lanes = [
            Lane(executor, factory, calls_networks),
            Lane(on_cpus, replace(factory, gpu_share=0.0), calls_none),
        ]
        number = f"up to {beside.workers} workers" if beside.workers != 1 else "a worker"
        yield lanes, f"{devices.told}; {number} on CPUs beside, for what calls no network"


def _ray_executor(spec: AuditSpec, resources: WorkerResources) -> "RayExecutor":
    """An executor on the Ray that this process is connected to."""
    from ...cluster.patience import Patience
    from ...cluster.ray_executor import RayExecutor

    patience = Patience(spec.cluster.heartbeat_seconds, spec.cluster.shard_seconds)
    return RayExecutor(resources, import_paths=import_paths(spec), patience=patience)


def _workers_beside(
    cluster: ClusterSpec, resources: WorkerResources, nodes: Mapping[str, Mapping[str, float]]
) -> WorkerResources | None:
    """Workers without GPUs for which nodes have room that are full of workers with some.

    They are put where that room is: elsewhere they would take the CPUs of workers with GPUs. None
    where workers have no GPU, or leave no room.

    Args:
        cluster: the spec's section.
        resources: of the workers with GPUs.
        nodes: the resources of each, by Ray's id and names.
    """
    if not resources.gpus_per_worker:
        return None
    beside = replace(
        resources, gpus_per_worker=0, min_workers=0, autoscaling=False, max_workers=None
    )
    room = {}
    for name, node in nodes.items():
        taken = resources.capacity(node)
        left = {
            each: node.get(each, 0) - taken * share for each, share in resources.per_worker.items()
        }
        if number := beside.capacity({**node, **left}):
            room[name] = number
    if not room:
        return None
    limits = [each for each in (cluster.workers, cluster.max_workers) if each is not None]
    return replace(beside, workers=min([sum(room.values()), *limits]), room=room)


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
        compiles=spec.cluster.compile,
        evaluations={
            name: cost.item_evaluations for name, cost in costs.items() if cost.item_evaluations
        },
    )


def import_paths(spec: AuditSpec) -> list[Path]:
    """The folders of users' own modules."""
    return [Path(path) for path in spec.import_paths]
