"""Networks in the format of StyleGAN's pickles: their attributes, and the source that made them."""

import pickle
import sys
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

_BUFFERS = ("resample_filter", "noise_const", "w_avg")


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


def network(weights: Mapping[str, Tensor], settings: Mapping[str, Any]) -> PersistentModule:
    """A network with these tensors, built with these arguments."""
    top = PersistentModule("Generator")
    top.state["_init_kwargs"] = dict(settings)
    for name, tensor in weights.items():
        *path, last = name.split(".")
        module = top
        for step in path:
            module = module.state["_modules"].setdefault(step, PersistentModule("Layer"))
        if last in _BUFFERS:
            module.state["_buffers"][last] = tensor
        else:
            module.state["_parameters"][last] = torch.nn.Parameter(tensor)
    return top


def dumps(content: Any) -> bytes:
    """The pickle, with upstream's name for what rebuilds a network."""

    def _reconstruct_persistent_obj(meta: Any) -> None:
        raise AssertionError(f"upstream's constructor was called with {type(meta)}")

    module = ModuleType("torch_utils.persistence")
    _reconstruct_persistent_obj.__module__ = module.__name__
    _reconstruct_persistent_obj.__qualname__ = "_reconstruct_persistent_obj"
    module._reconstruct_persistent_obj = _reconstruct_persistent_obj  # type: ignore[attr-defined]
    names = {"torch_utils": ModuleType("torch_utils"), module.__name__: module}
    sys.modules.update(names)
    try:
        return pickle.dumps(content)
    finally:
        for name in names:
            del sys.modules[name]


def write_network(path: Path, weights: Mapping[str, Tensor], settings: Mapping[str, Any]) -> Path:
    """A snapshot as training writes it: the averaged generator beside what else there is."""
    path.write_bytes(dumps({"G": None, "D": None, "G_ema": network(weights, settings)}))
    return path
