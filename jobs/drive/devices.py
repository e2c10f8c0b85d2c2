"""What a run's workers compute on: GPUs, and how many workers share one, or CPUs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...cluster.ray_errors import ClusterError
from ...cluster.resources import available_cpus
from ...workers.compiler_problem import compiler_problem
from ...workers.gpu_problem import Gpu, gpu_problem, gpus, why_no_gpu
from ..spec.audit import ClusterSpec
from ..spec.facts import Facts

if TYPE_CHECKING:
    import torch

# On an H200 two workers had 1.7 times the rate of one (`docs/gpu.md`); more were not measured.
_MOST_WORKERS = 4
# A worker fills a GPU by itself where it has so many rows of a generator that its memory has no
# room for those of a second one.
_ROWS = 256
# What CUDA and its libraries take in each process, besides tensors.
_CONTEXT_BYTES = 2**30
_BYTES_PER_PARAMETER = 4
_REMEDY = (
    "Make such tensors buffers of the network (register_buffer), or make them of the latent "
    "(latent.new_zeros), and trace or export it again; or set cluster.device to cpu"
)


@dataclass(frozen=True)
class Devices:
    """``gpus_per_worker`` is 0 for CPUs; ``told`` says it to people, with the reason."""

    gpus_per_worker: float
    told: str


def require_local_gpus(cluster: ClusterSpec) -> None:
    """Refuses workers on this machine that are to have GPUs, where torch can use none.

    Raises:
        ClusterError: why, and what to do.
    """
    problem = local_gpu_problem(cluster)
    if problem is not None:
        share = cluster.gpus_per_worker
        asked = "device is gpu" if share is None else f"gpus_per_worker is {share:g}"
        raise ClusterError(f"cluster.{asked}, but {problem}")


def require_compiler(cluster: ClusterSpec) -> None:
    """Refuses chains that are to be compiled, where workers on this machine could not.

    Raises:
        ClusterError: why, and what to do.
    """
    problem = local_compile_problem(cluster)
    if problem is not None:
        raise ClusterError(f"cluster.compile is true, but {problem}")


def local_compile_problem(cluster: ClusterSpec) -> str | None:
    """What keeps workers on this machine from compiling chains; None if nothing does.

    Nothing is said of the nodes of a cluster that is joined: there, workers that cannot say so, and
    compute as they would without it.
    """
    if not cluster.compile or cluster.is_joined:
        return None
    if cluster.wants_gpus is None and gpus():
        return (
            "chains are compiled on CPUs alone, and this machine's GPUs would compute: set "
            "cluster.device to cpu, or leave out cluster.compile"
        )
    return compiler_problem()


def require_movable(cluster: ClusterSpec, facts: Facts) -> None:
    """Refuses workers with GPUs for a generator that can compute on CPUs alone.

    Raises:
        ClusterError: which, why, and what to do.
    """
    problem = bound_problem(cluster, facts)
    if cluster.wants_gpus and problem is not None:
        raise ClusterError(f"workers are to have GPUs, but {problem}")


def bound_problem(cluster: ClusterSpec, facts: Facts) -> str | None:
    """Which generator keeps an audit on CPUs, and what to do; None where no GPU is to be used."""
    why = None if cluster.wants_gpus is False else _bound(facts)
    return None if why is None else f"{why}. {_REMEDY}"


def _bound(facts: Facts) -> str | None:
    for name, generator in facts.generators.items():
        if generator.only_on_cpu:
            made = ", ".join(generator.only_on_cpu)
            return f"the file of generator {name} makes tensors on the CPU, wherever it is ({made})"
    return None


def local_gpu_problem(cluster: ClusterSpec) -> str | None:
    """What keeps workers on this machine from the GPUs that they are to have; None if nothing does.

    Nothing is said of the nodes of a cluster that is joined: theirs may be other machines.
    """
    return gpu_problem() if cluster.wants_gpus and not cluster.is_joined else None


def device_here(cluster: ClusterSpec) -> "torch.device":
    """What a command computes on that runs no shards, whatever cluster the spec joins.

    Raises:
        ClusterError: the workers of this machine are to have GPUs, and there is none.
    """
    import torch

    require_local_gpus(cluster)
    return torch.device("cuda" if cluster.wants_gpus is not False and gpus() else "cpu")


def local_devices(cluster: ClusterSpec, facts: Facts) -> Devices:
    """Those of the workers of this machine, which has any GPUs that the spec asks for."""
    if cluster.wants_gpus is False:
        return Devices(0, "computing on CPUs, as cluster.device or gpus_per_worker says")
    found = gpus()
    if not found:
        return Devices(0, f"computing on CPUs: {why_no_gpu()}")
    if (bound := _bound(facts)) is not None:
        return Devices(0, f"computing on CPUs: {bound}")
    share = cluster.gpus_per_worker
    if share is None:
        share = 1 / workers_of_a_gpu(cluster, facts, found)
    names = ", ".join(dict.fromkeys(gpu.name for gpu in found))
    number = "a GPU" if len(found) == 1 else f"{len(found)} GPUs"
    return Devices(share, f"computing on {number} ({names}), {_sharing(share)}")


def joined_devices(
    cluster: ClusterSpec, nodes: Sequence[Mapping[str, float]], facts: Facts
) -> Devices:
    """Those of the workers of a cluster with nodes of these resources, by Ray's names.

    A cluster that has no GPU at present may add nodes with some: they must be asked for.
    """
    asked = cluster.wants_gpus
    count = sum(node.get("GPU", 0) for node in nodes)
    bound = _bound(facts)
    if asked is None and bound is not None:
        return Devices(0, f"computing on the cluster's CPUs: {bound}")
    if asked is False or (asked is None and not count):
        why = "the cluster has no GPUs at present" if asked is None else "as the spec says"
        return Devices(0, f"computing on the cluster's CPUs: {why}")
    share = 1.0 if cluster.gpus_per_worker is None else cluster.gpus_per_worker
    return Devices(share, f"computing on the cluster's GPUs, {count:g} of them; {_sharing(share)}")


def workers_of_a_gpu(cluster: ClusterSpec, facts: Facts, found: Sequence[Gpu]) -> int:
    """How many workers share each of this machine's GPUs: as many as memory and CPUs have room for.

    Opens the generators, whose memory for a row is measured on the CPU. A run in one process has
    one worker.
    """
    if cluster.executor == "serial":
        return 1
    most = min(_MOST_WORKERS, int(available_cpus() / cluster.cpus_per_worker) // len(found))
    asked = cluster.workers or cluster.max_workers
    if asked is not None:
        most = min(most, -(-asked // len(found)))
    if most <= 1:
        return 1
    return max(1, min(most, min(gpu.memory for gpu in found) // _bytes_of_a_worker(cluster, facts)))


def _bytes_of_a_worker(cluster: ClusterSpec, facts: Facts) -> int:
    """Those of a GPU's memory that a worker can put to use."""
    import torch

    from ...workers.generators import open_generator
    from ...workers.row_memory import bytes_for_rows

    largest = 0
    for generator in facts.generators.values():
        if generator.samples is None:
            opened = open_generator(generator, cluster.storage.settings)
            rows = bytes_for_rows(opened.generator, torch.device("cpu"), _ROWS)
            weights = _BYTES_PER_PARAMETER * (opened.description.parameters or 0)
            largest = max(largest, rows + weights)
    return _CONTEXT_BYTES + largest


def _sharing(share: float) -> str:
    if share > 1:
        return f"{share:g} for each worker"
    workers = int(1 / share + 1e-9)
    return "one worker on each" if workers == 1 else f"{workers} workers on each"
