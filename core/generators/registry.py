"""Our architectures by name, imported only when one is built."""

import difflib
import importlib
from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

_GENERATORS = {
    "dense": "generators.dense:DenseGenerator",
    "convolutional": "generators.convolutional:ConvolutionalGenerator",
}
_DISCRIMINATORS = {
    "dense": "discriminators:DenseDiscriminator",
    "convolutional": "discriminators:ConvolutionalDiscriminator",
}


class UnknownArchitectureError(ValueError):
    """No architecture has this name, or it does not take these arguments."""


def build_generator(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    """An untrained generator, which follows the Generator protocol.

    Weights are drawn from torch's global random state.

    Raises:
        UnknownArchitectureError: no such name, or arguments it does not take.
    """
    return _build(_GENERATORS, "generator", architecture, arguments)


def build_discriminator(architecture: str, arguments: Mapping[str, Any]) -> nn.Module:
    """An untrained discriminator: images and classes to one score each.

    Raises:
        UnknownArchitectureError: no such name, or arguments it does not take.
    """
    return _build(_DISCRIMINATORS, "discriminator", architecture, arguments)


def require_generator_architecture(architecture: str) -> None:
    """Raises UnknownArchitectureError unless ``architecture`` is registered; imports nothing."""
    _target(_GENERATORS, "generator", architecture)


def _target(targets: Mapping[str, str], kind: str, architecture: str) -> str:
    if architecture not in targets:
        close = difflib.get_close_matches(architecture, targets, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"there are {', '.join(targets)}"
        raise UnknownArchitectureError(f"there is no {kind} architecture '{architecture}': {hint}")
    return targets[architecture]


def _build(
    targets: Mapping[str, str], kind: str, architecture: str, arguments: Mapping[str, Any]
) -> nn.Module:
    module, attribute = _target(targets, kind, architecture).split(":")
    package = __package__.rpartition(".")[0]
    build: Callable[..., nn.Module] = getattr(
        importlib.import_module(f"{package}.{module}"), attribute
    )
    try:
        return build(**arguments)
    except (TypeError, ValueError) as error:
        raise UnknownArchitectureError(
            f"the {kind} architecture '{architecture}' does not take these arguments: {error}"
        ) from error
