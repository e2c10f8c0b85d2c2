"""A generator in the pickle that StyleGAN's or R3GAN's training writes: tensors and settings."""

from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor

from ..generator_errors import GeneratorError
from .pickled_modules import is_module, module_states, module_tensors
from .pickled_objects import Array, Inert, PickleError
from .unpickler import read_pickle

AVERAGE_KEY = "G_ema"
_DEEPEST = 16
# The first format of TensorFlow's networks that NVIDIA's converter takes: StyleGAN2's.
_FIRST_CONVERTIBLE = 4
_MOST_VALUES = 10_000


@dataclass(frozen=True)
class PickledNetwork:
    """A network's tensors by name, and the arguments that it was built with.

    ``modules`` are the plain attributes of the network ('') and of the modules in it, by name.
    """

    tensors: dict[str, Tensor]
    settings: dict[str, Any]
    modules: dict[str, dict[str, Any]]


def read_network(path: Path, content: bytes, key: str = AVERAGE_KEY) -> PickledNetwork:
    """The network under a key, by default the average; nothing in the pickle runs.

    It is one with its source, as StyleGAN's are, or a plain torch module, as R3GAN's.

    Raises:
        GeneratorError: the pickle is damaged, hostile, or holds no such network.
    """
    try:
        holds = read_pickle(content)
        _require_no_tensorflow(path, holds)
        network: Any = holds.get(key) if isinstance(holds, dict) else None
        if not is_module(network):
            raise GeneratorError(
                f"{path} is a pickle without a network under '{key}' (it holds "
                f"{_described(holds)}); nothing in it was run"
            )
        kwargs = network.state.get("_init_kwargs")
        settings = _plain(kwargs if isinstance(kwargs, dict) else {})
        states = module_states(network)
        tensors = module_tensors(states)
        modules = {name: _attributes(state) for name, state in states.items()}
        return PickledNetwork(tensors, settings, modules)
    except PickleError as error:
        raise GeneratorError(
            f"{path} was not read, and nothing in it was run: the pickle is damaged, or not a "
            f"StyleGAN's: {error}"
        ) from error


def _require_no_tensorflow(path: Path, holds: Any) -> None:
    """Raises GeneratorError for TensorFlow's StyleGANs: networks with source and variables."""
    states = [each.state for each in holds if isinstance(each, Inert)] if _is_list(holds) else []
    for state in states:
        if not isinstance(state, dict) or not {"variables", "static_kwargs"} <= set(state):
            continue
        version = state.get("version")
        if isinstance(version, int) and version < _FIRST_CONVERTIBLE:
            raise GeneratorError(
                f"{path} is a pickle of TensorFlow's StyleGAN of 2019, which is not read and which "
                "NVIDIA's converter does not take; images that it made can be audited as 'samples'"
            )
        raise GeneratorError(
            f"{path} is a pickle of TensorFlow's StyleGAN2, which is not read: convert it with "
            "'python legacy.py --source=FILE --dest=OUT.pkl' of NVlabs/stylegan2-ada-pytorch "
            "(configurations E and F and StyleGAN2-ADA's own; it needs no TensorFlow), and give "
            "OUT.pkl with the family stylegan2-ada"
        )


def _is_list(holds: Any) -> bool:
    return isinstance(holds, list | tuple)


def _described(holds: Any) -> str:
    """The first names in a dict, or a type: lists of lists are too long, or too deep, to show."""
    if not isinstance(holds, dict):
        return f"a {type(holds).__name__}"
    names = [key if isinstance(key, str) else type(key).__name__ for key in islice(holds, 5)]
    return ", ".join(names)[:80] or "nothing"


def _attributes(state: dict[Any, Any]) -> dict[str, Any]:
    """What a module was set to; torch's own attributes begin with an underscore."""
    return _plain({key: value for key, value in state.items() if _named(key)[:1] != "_"})


def _plain(settings: dict[Any, Any]) -> dict[str, Any]:
    """Settings as plain values; what is none becomes its type's name."""
    left = [_MOST_VALUES]

    def plain(value: Any, depth: int) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise PickleError(f"its settings hold more than {_MOST_VALUES:,} values")
        if isinstance(value, dict) and depth < _DEEPEST:
            return {_named(key): plain(inner, depth + 1) for key, inner in value.items()}
        if isinstance(value, Array) and value.value is not None and value.value.size < left[0]:
            # A thousand million rows of no number would be as many lists.
            return plain(value.value.tolist() if value.value.size else [], depth)
        if isinstance(value, list | tuple) and depth < _DEEPEST:
            return [plain(inner, depth + 1) for inner in value]
        if isinstance(value, type) and issubclass(value, Inert):
            # Such as torch's types of numbers, which a pickle holds by their names.
            return value.__name__
        return value if isinstance(value, str | int | float | None) else type(value).__name__

    return {_named(key): plain(value, 1) for key, value in settings.items()}


def _named(key: Any) -> str:
    """A key as text: of what has no short one, its type."""
    return str(key) if isinstance(key, str | int | float | None) else type(key).__name__
