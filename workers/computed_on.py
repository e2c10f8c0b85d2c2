"""On what a part was computed: the device, versions and precision, which decide its rounding."""

import json
import platform
from collections.abc import Iterable

import pyarrow as pa
import torch

from .json_file import parse_json

# JSON: a list, in a part's metadata. It has more than one entry where its pieces come from several
# workers, and none where no row was computed.
COMPUTED_ON_KEY = "offmanifold.computed_on"

UNKNOWN = "what a version before this one did not say"
"""In words, what a part was computed on that does not tell."""

_FIELDS = ("device", "torch", "cuda", "precision", "chains")


def set_precision(*, tf32: bool) -> None:
    """Lets products and convolutions on a GPU be computed with TF32 in this process, or not.

    torch allows it in convolutions by default. At a variance of 1e-4 it moves ln p(x|z) by up to a
    nat (`docs/gpu.md`).
    """
    torch.backends.cuda.matmul.allow_tf32 = tf32
    torch.backends.cudnn.allow_tf32 = tf32


def computed_on(device: torch.device, *, compiles: bool = False) -> dict[str, str]:
    """What computes on that device of this process; ``cuda`` only where it is a GPU.

    ``chains`` only where those of small generators are compiled.
    """
    found = {"torch": torch.__version__, "precision": str(torch.get_default_dtype())[6:]}
    if compiles:
        found["chains"] = "compiled for small generators"
    if device.type != "cuda":
        name = platform.machine() if device.type == "cpu" else device.type
        return {"device": f"CPU ({name})" if device.type == "cpu" else name, **found}
    if torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32:
        found["precision"] += " with TF32"
    version = torch.version.cuda or f"ROCm {torch.version.hip}"
    return {"device": torch.cuda.get_device_name(device), "cuda": version, **found}


def in_metadata(computers: Iterable[dict[str, str]]) -> str:
    """Each of them once, as a part's metadata has them."""
    once = sorted({tuple(sorted(each.items())) for each in computers})
    return json.dumps([dict(each) for each in once])


def read_from(part: pa.Table) -> list[dict[str, str]]:
    """What a part says of what it was computed on; empty if it does not tell.

    A part of unknown origin may say anything, of which nothing is taken but text.
    """
    text = (part.schema.metadata or {}).get(COMPUTED_ON_KEY.encode(), b"[]")
    try:
        return [
            {key: str(each[key]) for key in _FIELDS if key in each} for each in parse_json(text)
        ]
    except (ValueError, TypeError):
        return []


def in_words(computer: dict[str, str]) -> str:
    """For people: the device, then versions and precision."""
    cuda, chains = computer.get("cuda"), computer.get("chains")
    parts = [
        computer.get("device", "?"),
        f"torch {computer.get('torch', '?')}",
        None if cuda is None else cuda if cuda.startswith("ROCm") else f"CUDA {cuda}",
        computer.get("precision", "?"),
        None if chains is None else f"chains {chains}",
    ]
    return ", ".join(part for part in parts if part is not None)
