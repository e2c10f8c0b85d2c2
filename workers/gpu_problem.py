"""Why no GPU can be computed on here: told before the work, and not by every row of it."""

import warnings

_INSTEAD = "or set cluster.gpus_per_worker to 0, to compute on CPUs"


def gpu_problem() -> str | None:
    """What keeps this process from computing on a GPU, and what to do; None if nothing does."""
    import torch

    with warnings.catch_warnings():
        # Of a driver that is too old torch warns here, and says so as an error below.
        warnings.simplefilter("ignore")
        if torch.cuda.is_available():
            return None
    version = torch.__version__
    if torch.version.hip is None and torch.version.cuda is None:
        mps = "; it has Apple's MPS, which is not computed on" if _has_mps() else ""
        return (
            f"torch {version} is built without CUDA{mps}: install a build with CUDA "
            f"(https://pytorch.org/get-started/locally), {_INSTEAD}"
        )
    platform = (
        f"CUDA {torch.version.cuda}" if torch.version.hip is None else f"ROCm {torch.version.hip}"
    )
    return (
        f"torch {version}, built for {platform}, finds no GPU ({_reason()}): `nvidia-smi`, or "
        "`rocm-smi` of ROCm, must show one with a driver new enough for this build; install "
        f"that driver, or a build of torch for the one that is there, {_INSTEAD}"
    )


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
