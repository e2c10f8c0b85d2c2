"""Networks in the format of StyleGAN's pickles: their attributes, and the source that made them."""

import pickle
import sys
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor

_BUFFERS = (
    "resample_filter",
    "noise_const",
    "w_avg",
    "up_filter",
    "down_filter",
    "magnitude_ema",
    "transform",
    "freqs",
    "phases",
)
# What StyleGAN3's modules keep as arrays of two equal numbers.
_PAIRS = ("size", "in_size", "out_size")


class PersistentModule:
    """A module that reduces as StyleGAN's persistent classes do."""

    def __init__(self, class_name: str) -> None:
        self.class_name = class_name
        self.state: dict[str, Any] = {
            "training": False,
            "_parameters": OrderedDict(),
            "_buffers": OrderedDict(),
            "_modules": OrderedDict(),
            "_init_args": (),
            "_init_kwargs": {},
        }

    def __reduce__(self) -> tuple[Any, ...]:
        meta = {
            "type": "class",
            "version": 6,
            "module_src": "raise RuntimeError('the source in a pickle was run')",
            "class_name": self.class_name,
            "state": self.state,
        }
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,), None


def network(
    weights: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    modules: Mapping[str, Mapping[str, Any]] | None = None,
) -> PersistentModule:
    """A network with these tensors, built with these arguments, its modules so set."""
    top = PersistentModule("Generator")
    top.state["_init_kwargs"] = dict(settings)
    for name, tensor in weights.items():
        *path, last = name.split(".")
        module = top
        for step in path[:-1]:
            module = _inside(module, step)
        if name == "mapping.embed.weight" and "mapping.embed.bias" not in weights:
            # StyleGAN-XL's is torch's own module, without source.
            module.state["_modules"]["embed"] = torch.nn.Embedding.from_pretrained(tensor)
            continue
        module = _inside(module, path[-1])
        if last in _BUFFERS:
            module.state["_buffers"][last] = tensor
        else:
            module.state["_parameters"][last] = torch.nn.Parameter(tensor)
    for name, attributes in (modules or {}).items():
        module = top
        for step in name.split(".") if name else ():
            module = module.state["_modules"][step]
        if isinstance(module, PersistentModule):
            module.state.update({key: _as_set(key, value) for key, value in attributes.items()})
    return top


def _inside(module: PersistentModule, name: str) -> PersistentModule:
    inner: PersistentModule = module.state["_modules"].setdefault(name, PersistentModule("Layer"))
    return inner


def _as_set(name: str, value: Any) -> Any:
    """An attribute with the numpy type that upstream gives it."""
    if name in _PAIRS:
        return np.broadcast_to(np.asarray(value[0]), [2])
    return np.float64(value) if isinstance(value, float) else value


def dumps(content: Any, write: Callable[[Any], bytes] = pickle.dumps) -> bytes:
    """The pickle, with upstream's name for what rebuilds a network."""

    def _reconstruct_persistent_obj(meta: Any) -> None:
        raise AssertionError(f"upstream's constructor was called with {type(meta)}")

    module = ModuleType("torch_utils.persistence")
    _reconstruct_persistent_obj.__module__ = module.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    parent = ModuleType("torch_utils")
    parent.persistence = module  # type: ignore[attr-defined]
    names = {parent.__name__: parent, module.__name__: module}
    sys.modules.update(names)
    try:
        return write(content)
    finally:
        for name in names:
            del sys.modules[name]


def write_network(
    path: Path,
    weights: Mapping[str, Tensor],
    settings: Mapping[str, Any],
    modules: Mapping[str, Mapping[str, Any]] | None = None,
    write: Callable[[Any], bytes] = pickle.dumps,
) -> Path:
    """A snapshot as training writes it: the averaged generator beside what else there is."""
    content = {"G": None, "D": None, "G_ema": network(weights, settings, modules)}
    path.write_bytes(dumps(content, write))
    return path
