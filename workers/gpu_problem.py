"""The GPUs that this process can compute on, or why there is none."""

import warnings
from dataclasses import dataclass

from ..cluster.broken_worker import BrokenWorkerError
from ..cluster.ray_errors import ClusterError

_INSTEAD = "or set cluster.device to cpu and leave out cluster.gpus_per_worker, to compute on CPUs"


class UnusableGpuError(BrokenWorkerError, ClusterError):
    """A worker was given a GPU that it cannot use; one at another place may be able to."""


@dataclass(frozen=True)
class Gpu:
    """A GPU's name, and the bytes of its memory, busy or free."""

    name: str
    memory: int


def gpus() -> tuple[Gpu, ...]:
    """Those that torch can use in this process, in its order; none where it can use none."""
    import torch

    if why_no_gpu() is not None:
        return ()
    found = map(torch.cuda.get_device_properties, range(torch.cuda.device_count()))
    return tuple(Gpu(each.name, each.total_memory) for each in found)


def why_no_gpu() -> str | None:
    """What keeps this process from computing on a GPU, in a few words; None if nothing does."""
    import torch

    with warnings.catch_warnings():
        # Of a driver that is too old torch warns here, and says so as an error to `gpu_problem`.
        warnings.simplefilter("ignore")
        if torch.cuda.is_available():
            return None
    version = torch.__version__
    if not _is_built_for_gpus():
        mps = "; it has Apple's MPS, which is not computed on" if _has_mps() else ""
        return f"torch {version} is built without CUDA{mps}"
    platform = (
        f"CUDA {torch.version.cuda}" if torch.version.hip is None else f"ROCm {torch.version.hip}"
    )
    return f"torch {version}, built for {platform}, finds no GPU"


def gpu_problem() -> str | None:
    """What keeps this process from computing on a GPU, and what to do; None if nothing does."""
    why = why_no_gpu()
    if why is None:
        return None
    if not _is_built_for_gpus():
        return (
            f"{why}: install a build with CUDA (https://pytorch.org/get-started/locally), "
            f"{_INSTEAD}"
        )
    return (
        f"{why} ({_reason()}): `nvidia-smi`, or `rocm-smi` of ROCm, must show one with a driver "
        "new enough for this build; install that driver, or a build of torch for the one that is "
        f"there, {_INSTEAD}"
    )


def _is_built_for_gpus() -> bool:
    import torch

    return torch.version.hip is not None or torch.version.cuda is not None


def _has_mps() -> bool:
    import torch

    return torch.backends.mps.is_available()


def _reason() -> str:
    """Torch's: no driver, one that is too old, with its version, or no device."""
    import torch

    try:
        torch.cuda.init()
    except (AssertionError, RuntimeError) as error:
        return " ".join(str(error).split()).rstrip(".")
    return "it has a driver but no device"
