"""The tensors of a pickled torch module: of the module itself and of those inside it."""

from typing import Any

from torch import Tensor

from .pickled_objects import Inert, Network, PickleError, tensor_in

_MOST_MODULES = 10_000
_LONGEST_NAME = 1000


def is_module(value: Any) -> bool:
    """Whether an object that became inert was a torch module."""
    state = value.state if isinstance(value, Network | Inert) else None
    return isinstance(state, dict) and isinstance(state.get("_modules"), dict)


def module_states(network: Any) -> dict[str, dict[Any, Any]]:
    """The attributes of a network and of the modules inside it, by the modules' names.

    Raises:
        PickleError: something among them is no module, or there are too many.
    """
    found: dict[str, dict[Any, Any]] = {}
    waiting: list[tuple[str, Any]] = [("", network)]
    while waiting:
        name, module = waiting.pop()
        state = module.state if isinstance(module, Network | Inert) else None
        if not isinstance(state, dict) or len(found) == _MOST_MODULES:
            raise PickleError(
                f"'{name}' is not a module, or the network has more than {_MOST_MODULES:,}"
            )
        found[name] = state
        inner = _members(state, "_modules", name)
        waiting += [
            (f"{name}.{key}" if name else key, value)
            for key, value in inner.items()
            if value is not None
        ]
    return found


def module_tensors(states: dict[str, dict[Any, Any]]) -> dict[str, Tensor]:
    """The parameters and buffers of `module_states`, by the names that a state dict gives them.

    Raises:
        PickleError: one of them is not a tensor.
    """
    return {
        f"{name}.{tensor_name}" if name else tensor_name: tensor
        for name, state in states.items()
        for tensor_name, tensor in _own_tensors(state, name).items()
    }


def _own_tensors(state: dict[Any, Any], module: str) -> dict[str, Tensor]:
    """The parameters and buffers of one module."""
    found: dict[str, Tensor] = {}
    for kind in ("_parameters", "_buffers"):
        for name, value in _members(state, kind, module).items():
            tensor = tensor_in(value)
            if tensor is not None:
                found[name] = tensor
            elif value is not None:
                raise PickleError(f"'{name}' of '{module}' is not a tensor")
    return found


def _members(state: dict[Any, Any], kind: str, module: str) -> dict[Any, Any]:
    members = state.get(kind)
    if not isinstance(members, dict):
        raise PickleError(f"'{module}' has no {kind}")
    for name in members:
        # Of modules in modules in modules, each has the names of all around it in its own.
        if not isinstance(name, str) or len(module) + len(name) > _LONGEST_NAME:
            raise PickleError(f"a name in its {kind} is no text, or far too long")
    return members
