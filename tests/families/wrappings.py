"""What training scripts wrap around a generator's weights, made as they make it."""

import argparse
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Weights = Mapping[str, Tensor]


class AttributeDict(dict[str, Any]):
    """Lightning's and others' dicts whose keys are attributes."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


class Configuration:
    """An object of a script's own, as OmegaConf's are."""

    def __init__(self) -> None:
        self.content = {"model": AttributeDict(latent=100), "path": Path("runs")}
        self.keys = {Path("a"): 1}


def prefixed(weights: Weights, prefix: str) -> dict[str, Tensor]:
    """The weights with a prefix before every name."""
    return {f"{prefix}{name}": tensor for name, tensor in weights.items()}


def marked(tensor: Tensor) -> Tensor:
    """A parameter, or a tensor of whole numbers, with an attribute of a script's."""
    made = nn.Parameter(tensor) if tensor.is_floating_point() else tensor.clone()
    made.frozen = True  # type: ignore[attr-defined]
    return made


def discriminator() -> dict[str, Tensor]:
    """One whose first names are those of a DCGAN's generator, and whose shapes are not."""
    layers = [nn.Conv2d(3, 4, 4), nn.BatchNorm2d(4), nn.LeakyReLU(), nn.Conv2d(4, 1, 4)]
    return dict(nn.Sequential(OrderedDict(main=nn.Sequential(*layers))).state_dict())


def optimiser() -> dict[str, Any]:
    """The state of an optimiser after a step: tensors under numbers."""
    parameter = nn.Parameter(torch.zeros(4))
    adam = torch.optim.Adam([parameter])
    parameter.sum().backward()
    adam.step()
    return adam.state_dict()


def lightning(weights: Weights) -> dict[str, Any]:
    """A ``.ckpt``: both networks in one state dict, hyper-parameters, callbacks by their type."""
    return {
        "epoch": 3,
        "pytorch-lightning_version": "2.1.0",
        "state_dict": prefixed(weights, "generator.") | prefixed(discriminator(), "discriminator."),
        "optimizer_states": [optimiser(), optimiser()],
        "callbacks": {Configuration: {"best": Path("last.ckpt")}},
        "hparams_name": "kwargs",
        "hyper_parameters": AttributeDict(latent=100, options=argparse.Namespace(lr=2e-4)),
    }


def beside_numbers(weights: Weights) -> dict[str, Any]:
    """Numpy's numbers, arrays and random state among the tensors and beside them."""
    return {
        "G": {**weights, "steps": np.int64(7)},
        "loss": np.float32(0.5),
        "best": np.float64(1.5),
        "stopped": np.bool_(True),
        "history": np.arange(4.0),
        "name": np.str_("faces"),
        "classes": np.array(["cat", "dog"]),
        "objects": np.array([None, Path("runs")], dtype=object),
        "day": np.datetime64("2024-01-01"),
        "random": np.random.RandomState(0).get_state(),
        "torch_random": torch.get_rng_state(),
    }


WRAPPINGS: dict[str, Callable[[Weights], Any]] = {
    **{
        key: lambda weights, key=key: {key: dict(weights)}  # type: ignore[misc]
        for key in (
            *("state_dict", "netG_state_dict", "generator", "G", "G_ema", "g_ema", "GAN"),
            *("model", "params_ema", "ema", "model_state_dict"),
        )
    },
    **{
        prefix: lambda weights, prefix=prefix: prefixed(weights, prefix)  # type: ignore[misc]
        for prefix in (
            *("module.", "_orig_mod.", "generator.", "decoder.", "netG."),
            *("module._orig_mod.", "_orig_mod.module.", "GAN.G."),
        )
    },
    "both networks": lambda weights: {"G": dict(weights), "D": discriminator(), "step": 4},
    "both in a list": lambda weights: [dict(weights), discriminator()],
    "nested": lambda weights: {"model": {"networks": {"G": {"state_dict": dict(weights)}}}},
    "nested and prefixed": lambda weights: {"ckpt": {"g_ema": prefixed(weights, "module.")}},
    "lightning": lightning,
    "namespace beside": lambda weights: {
        "args": argparse.Namespace(lr=2e-4, out=Path("runs")),
        "config": Configuration(),
        "opt": AttributeDict(beta=0.5),
        "device": torch.device("cpu"),
        "kind": torch.float16,
        "g_optim": optimiser(),
        "netG": OrderedDict(weights),
    },
    "numbers beside": beside_numbers,
    "parameters": lambda weights: {name: marked(tensor) for name, tensor in weights.items()},
}
