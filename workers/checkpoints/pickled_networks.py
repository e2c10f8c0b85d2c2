"""The averaged generator in the pickle that StyleGAN's training writes: tensors and settings."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from ..generator_errors import GeneratorError
from .unpickler import Inert, Network, PickleError, read_pickle

_KEY = "G_ema"
_DEEPEST = 16


@dataclass(frozen=True)
class PickledNetwork:
    """A network's tensors by name, and the arguments that it was built with."""

    tensors: dict[str, Tensor]
    settings: dict[str, Any]


def read_network(path: Path, content: bytes) -> PickledNetwork:
    """The network under ``G_ema``; nothing in the pickle runs.

    Raises:
        GeneratorError: the pickle is damaged, hostile, or holds no such network.
    """
    try:
        holds = read_pickle(content)
        network = holds.get(_KEY) if isinstance(holds, dict) else None
        if not isinstance(network, Network):
            found = ", ".join(map(str, list(holds)[:5])) if isinstance(holds, dict) else holds
            raise GeneratorError(
                f"{path} is a pickle without a network under '{_KEY}' (it holds "
                f"{str(found)[:80] or 'nothing'}); nothing in it was run"
            )
        settings = _plain(network.state.get("_init_kwargs") or {}, 0)
        return PickledNetwork(_tensors(network, "", 0), settings)
    except PickleError as error:
        raise GeneratorError(
            f"{path} is not read, and nothing in it was run: the pickle is damaged, or no "
            f"StyleGAN's: {error}"
        ) from error


def _tensors(module: Any, prefix: str, depth: int) -> dict[str, Tensor]:
    """The parameters and buffers of a module and of those inside it."""
    state = module.state if isinstance(module, Network | Inert) else None
    if not isinstance(state, dict) or depth > _DEEPEST:
        raise PickleError(f"'{prefix}' is no module, or nested too deeply")
    found: dict[str, Tensor] = {}
    for kind in ("_parameters", "_buffers"):
        for name, tensor in _members(state, kind, prefix).items():
            if isinstance(tensor, Tensor):
                found[f"{prefix}{name}"] = tensor
            elif tensor is not None:
                raise PickleError(f"'{prefix}{name}' is no tensor")
    for name, inner in _members(state, "_modules", prefix).items():
        if inner is not None:
            found |= _tensors(inner, f"{prefix}{name}.", depth + 1)
    return found


def _members(state: dict[Any, Any], kind: str, prefix: str) -> dict[Any, Any]:
    members = state.get(kind)
    if not isinstance(members, dict):
        raise PickleError(f"'{prefix}' has no {kind}")
    return members


def _plain(value: Any, depth: int) -> Any:
    """Settings as plain values; what is none becomes its type's name."""
    if isinstance(value, dict) and depth < _DEEPEST:
        return {str(key): _plain(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list | tuple) and depth < _DEEPEST:
        return [_plain(inner, depth + 1) for inner in value]
    return value if isinstance(value, str | int | float | None) else type(value).__name__
