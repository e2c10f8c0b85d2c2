"""What a worker needs, and how many of them a machine holds."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Resources:
    """How many workers, and what each of them gets.

    Args:
        workers: worker processes; None for as many as the CPUs and GPUs hold.
        cpus_per_worker: CPU share, which may be a fraction.
        gpus_per_worker: GPU share, which may be a fraction; workers then share a device's memory.
    """

    workers: int | None = None
    cpus_per_worker: float = 1
    gpus_per_worker: float = 0

    def __post_init__(self) -> None:
        if self.workers is not None and self.workers < 1:
            raise ValueError(f"workers must be at least 1, got {self.workers}")
        if self.cpus_per_worker <= 0:
            raise ValueError(f"cpus_per_worker must be positive, got {self.cpus_per_worker}")
        if self.gpus_per_worker < 0:
            raise ValueError(f"gpus_per_worker must not be negative, got {self.gpus_per_worker}")

    def capacity(self, cpus: float, gpus: float) -> int:
        """How many workers fit into ``cpus`` and ``gpus`` together."""
        # Shares such as 0.1 do not add up exactly; a worker must not be lost to that.
        fit = int(cpus / self.cpus_per_worker + 1e-9)
        if self.gpus_per_worker > 0:
            fit = min(fit, int(gpus / self.gpus_per_worker + 1e-9))
        return fit


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
