"""Our architectures by name, imported (and torch with them) only when one is built."""

import difflib
import importlib
from collections.abc import Mapping
from typing import Any, Literal

Kind = Literal["generator", "discriminator"]

_TARGETS: dict[Kind, dict[str, str]] = {
    "generator": {
        "dense": "generators.dense:DenseGenerator",
        "convolutional": "generators.convolutional:ConvolutionalGenerator",
        "residual": "generators.residual:ResidualGenerator",
        "biggan_deep": "generators.biggan_deep:BigGanDeepGenerator",
        "stylegan2": "generators.stylegan2:StyleGan2Generator",
        "stylegan2_bilinear": "generators.stylegan2_bilinear:BilinearStyleGan2Generator",
        "stylegan3": "generators.stylegan3:StyleGan3Generator",
        "deep_convolutional": "generators.deep_convolutional:DeepConvolutionalGenerator",
        "began": "generators.began:BeganGenerator",
        "transposed": "generators.transposed:TransposedGenerator",
        "r3gan": "generators.r3gan:R3GanGenerator",
    },
    "discriminator": {
        "dense": "discriminators:DenseDiscriminator",
        "convolutional": "discriminators:ConvolutionalDiscriminator",
    },
}


class ArchitectureError(ValueError):
    """No architecture has this name, or it does not take these arguments."""


def require_architecture(kind: Kind, name: str) -> None:
    """Raises ArchitectureError unless an architecture is registered; imports nothing."""
    targets = _TARGETS[kind]
    if name not in targets:
        close = difflib.get_close_matches(name, targets, n=1)
        hint = (
            f"did you mean '{close[0]}'?" if close else f"known architectures: {', '.join(targets)}"
        )
        raise ArchitectureError(f"unknown {kind} architecture '{name}': {hint}")


def build(kind: Kind, name: str, arguments: Mapping[str, Any]) -> Any:
    """An untrained torch module: a Generator, or a discriminator (images, condition) -> scores.

    The weights are drawn from torch's global random state.

    Raises:
        ArchitectureError: no such name, or arguments that it does not take.
    """
    require_architecture(kind, name)
    module, attribute = _TARGETS[kind][name].split(":")
    parent = __name__.rsplit(".", 2)[0]
    architecture = getattr(importlib.import_module(f"{parent}.{module}"), attribute)
    try:
        return architecture(**arguments)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ArchitectureError(
            f"the {kind} architecture '{name}' does not take these arguments: {error}"
        ) from error
