"""What a worker needs, and how many of them a machine holds."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class WorkerResources:
    """How many workers, and what each of them gets.

    Args:
        workers: worker processes; None for as many as the cluster holds, or may grow to.
        cpus_per_worker: CPU share, which may be a fraction.
        gpus_per_worker: GPU share, which may be a fraction; workers then share a device's memory.
        memory_per_worker: bytes of main memory that a worker reserves; 0 reserves none.
        custom_per_worker: shares of the resources that nodes were given names for.
        min_workers: workers that stay even while there is nothing for them to do.
        max_workers: the most workers; None for no limit but the cluster's size.
        autoscaling: whether the cluster adds nodes for workers that find no place yet, so that
            ``max_workers`` are asked for and not only those that fit at present.
        room: by Ray's id of a node, how many workers may be put there; None where Ray chooses. It
            does as well where none of these nodes is alive.
    """

    workers: int | None = None
    cpus_per_worker: float = 1
    gpus_per_worker: float = 0
    memory_per_worker: int = 0
    custom_per_worker: Mapping[str, float] = field(default_factory=dict)
    min_workers: int = 0
    max_workers: int | None = None
    autoscaling: bool = False
    room: Mapping[str, int] | None = None

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")
        if self.cpus_per_worker <= 0:
            raise ValueError(f"cpus_per_worker must be positive, got {self.cpus_per_worker}")
        if self.gpus_per_worker < 0:
            raise ValueError(f"gpus_per_worker must not be negative, got {self.gpus_per_worker}")
        if self.max_workers is not None and self.max_workers < max(1, self.min_workers):
            raise ValueError(
                f"max_workers must be at least 1 and min_workers, got {self.max_workers} and "
                f"{self.min_workers}"
            )

    @property
    def per_worker(self) -> dict[str, float]:
        """What a worker takes, by Ray's names of resources; bytes of ``memory``."""
        wanted = {
            "CPU": self.cpus_per_worker,
            "GPU": self.gpus_per_worker,
            "memory": self.memory_per_worker,
            **self.custom_per_worker,
        }
        return {name: share for name, share in wanted.items() if share > 0}

    def capacity(self, node: Mapping[str, float]) -> int:
        """How many workers fit into a node with these resources, by Ray's names."""
        # Shares such as 0.1 do not add up exactly; a worker must not be lost to that.
        return min(int(node.get(name, 0) / share + 1e-9) for name, share in self.per_worker.items())

    def fit(self, nodes: Sequence[Mapping[str, float]]) -> int:
        """How many workers these nodes hold together."""
        return sum(self.capacity(node) for node in nodes)

    def worker_count(self, nodes: Sequence[Mapping[str, float]]) -> int:
        """How many workers to ask for on a cluster of these nodes; 0 if none will find a place."""
        fit = self.fit(nodes)
        if self.autoscaling and self.max_workers is not None:
            return self.max_workers
        if fit == 0:
            return 0
        wanted = fit if self.workers is None else self.workers
        return wanted if self.max_workers is None else min(wanted, self.max_workers)


def available_cpus(cgroup_root: Path = Path("/sys/fs/cgroup")) -> int:
    """The CPUs this process may use: its affinity, within its container's quota; at least 1."""
    cpus = len(os.sched_getaffinity(0))
    quota = _cpu_quota(cgroup_root)
    return max(1, cpus if quota is None else min(cpus, int(quota)))


def _cpu_quota(root: Path) -> float | None:
    """CPUs that the cgroup (version 2, or else 1) grants, None where there is no limit."""
    try:
        limit, period = (root / "cpu.max").read_text().split()
        return None if limit == "max" else int(limit) / int(period)
    except FileNotFoundError:
        pass
    try:
        micros = int((root / "cpu/cpu.cfs_quota_us").read_text())
        return None if micros < 0 else micros / int((root / "cpu/cpu.cfs_period_us").read_text())
    except FileNotFoundError:
        return None
