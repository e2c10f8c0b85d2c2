"""Networks in the format of R3GAN's pickles: plain torch modules of packages that are not here."""

import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn

_BUFFERS = ("Kernel",)


def write_modules(
    path: Path,
    weights: Mapping[str, Tensor],
    modules: Mapping[str, Mapping[str, Any]],
    package: str = "R3GAN",
) -> Path:
    """A snapshot as training writes it, of a network with these tensors, its modules so set.

    ``package`` is where its classes are said to be, under ``.Networks``.
    """
    names = ["training", "training.networks", package, f"{package}.Networks"]
    packages = {name: ModuleType(name) for name in names}
    classes = {
        name: _class(packages[name], kind)
        for name, kind in (("training.networks", "Generator"), (f"{package}.Networks", "Layer"))
    }
    network = classes["training.networks"]()
    for name, tensor in weights.items():
        *steps, last = name.split(".")
        module = network
        for step in steps:
            if step not in module._modules:
                module.add_module(step, classes[f"{package}.Networks"]())
            module = module._modules[step]
        if last in _BUFFERS:
            module.register_buffer(last, tensor)
        else:
            module.register_parameter(last, nn.Parameter(tensor))
    for name, attributes in modules.items():
        for key, value in attributes.items():
            setattr(network.get_submodule(name), key, _as_set(value))
    sys.modules.update(packages)
    try:
        content = {"G": None, "D": None, "G_ema": network, "cur_nimg": 0}
        path.write_bytes(pickle.dumps(content))
    finally:
        for name in packages:
            del sys.modules[name]
    return path


def _class(package: ModuleType, name: str) -> Any:
    kind = type(name, (nn.Module,), {"__module__": package.__name__})
    setattr(package, name, kind)
    return kind


def _as_set(value: Any) -> Any:
    """A type of torch's by its name, anything else as it is."""
    is_type = isinstance(value, str) and value.startswith("torch.")
    return getattr(torch, value.removeprefix("torch.")) if is_type else value
