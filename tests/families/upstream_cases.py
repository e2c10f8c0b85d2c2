"""Upstream's networks that ours are compared with: how each is built, called and saved.

Nothing of upstream is imported before a case is built; its checkout is on the import path then.
"""

import importlib
import pickle
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import torch
from packaging.version import parse
from torch import Tensor, nn


@dataclass(frozen=True)
class Case:
    """One of upstream's networks.

    ``build`` makes it from ``arguments``; ``images`` calls it for images in [0, 1], one for each
    latent and class; ``save`` writes the file that upstream would write into a folder. ``count``
    images are compared and timed at once. ``wrapped`` is the file's form for `recorded.py`.
    Tensors whose names end in one of ``designed`` keep upstream's values where it is timed.
    ``native`` calls it in the precisions that it would use itself, where those are not float32.
    """

    family: str
    repository: str
    file: str
    arguments: Mapping[str, Any]
    build: Callable[[Mapping[str, Any]], nn.Module]
    images: Callable[[nn.Module, Tensor, Tensor | None], Tensor]
    save: Callable[[nn.Module, Path], Path]
    wrapped: bool | Literal["pickle", "dill", "modules", "g_ema", "decoder", "GAN"]
    count: int = 2
    truncation: float | None = None
    mixed_precision: bool | None = None
    designed: tuple[str, ...] = ()
    native: Callable[[nn.Module, Tensor, Tensor | None], Tensor] | None = None


def save_state_dict(network: nn.Module, folder: Path) -> Path:
    """Names with tensors, and nothing else."""
    torch.save(network.state_dict(), folder / "checkpoint.pth")
    return folder / "checkpoint.pth"


def save_wrapped_state_dict(network: nn.Module, folder: Path) -> Path:
    """The same, under ``state_dict``."""
    torch.save({"state_dict": network.state_dict()}, folder / "checkpoint.pth")
    return folder / "checkpoint.pth"


def save_pickle(network: nn.Module, folder: Path) -> Path:
    """A snapshot as StyleGAN's training writes it."""
    path = folder / "network-snapshot.pkl"
    path.write_bytes(pickle.dumps({"G": None, "D": None, "G_ema": network}))
    return path


def give_pkg_resources() -> None:
    """What upstream asks of a package that setuptools no longer has."""
    old = ModuleType("pkg_resources")
    old.parse_version = parse  # type: ignore[attr-defined]
    sys.modules.setdefault(old.__name__, old)


def one_hot(condition: Tensor | None, classes: int, like: Tensor) -> Tensor:
    """A row for every class, or rows without a column."""
    if condition is None:
        return like.new_zeros(len(like), 0)
    return nn.functional.one_hot(condition, classes).to(like)


def _build(module: str, name: str) -> Callable[[Mapping[str, Any]], nn.Module]:
    def build(arguments: Mapping[str, Any]) -> nn.Module:
        network: nn.Module = getattr(importlib.import_module(module), name)(**arguments)
        return network

    return build


def stylegan2_images(network: Any, latent: Tensor, condition: Tensor | None) -> Tensor:
    """With the file's noise, in float32 throughout."""
    classes = one_hot(condition, network.c_dim, latent)
    images: Tensor = network(latent, classes, noise_mode="const", force_fp32=True)
    return (images + 1) / 2


def _stylegan2_ada(count: int = 2, **arguments: Any) -> Case:
    return Case(
        "stylegan2-ada",
        "NVlabs/stylegan2-ada-pytorch",
        "training/networks.py",
        {"img_channels": 3, **arguments},
        _build("training.networks", "Generator"),
        stylegan2_images,
        save_pickle,
        "pickle",
        count,
    )


CASES: dict[str, Case] = {
    "stylegan2-ada": _stylegan2_ada(
        z_dim=16,
        c_dim=5,
        w_dim=12,
        img_resolution=32,
        mapping_kwargs={"num_layers": 2},
        synthesis_kwargs={
            "channel_base": 256,
            "channel_max": 16,
            "num_fp16_res": 4,
            "conv_clamp": 256,
        },
    ),
    "stylegan2-ada-unconditional": _stylegan2_ada(
        z_dim=12,
        c_dim=0,
        w_dim=12,
        img_resolution=64,
        mapping_kwargs={"num_layers": 3},
        synthesis_kwargs={"channel_base": 256, "channel_max": 8, "conv_clamp": 2.5},
    ),
    "stylegan2-ada-cifar10": _stylegan2_ada(
        z_dim=512,
        c_dim=10,
        w_dim=512,
        img_resolution=32,
        mapping_kwargs={"num_layers": 2},
        synthesis_kwargs={
            "channel_base": 32768,
            "channel_max": 512,
            "num_fp16_res": 4,
            "conv_clamp": 256,
        },
    ),
    "stylegan2-ada-64": _stylegan2_ada(
        z_dim=512,
        c_dim=0,
        w_dim=512,
        img_resolution=64,
        mapping_kwargs={"num_layers": 8},
        synthesis_kwargs={"channel_base": 16384, "channel_max": 256, "conv_clamp": 256},
    ),
    "stylegan2-ada-ffhq256": _stylegan2_ada(
        z_dim=512,
        c_dim=0,
        w_dim=512,
        img_resolution=256,
        mapping_kwargs={"num_layers": 8},
        synthesis_kwargs={
            "channel_base": 16384,
            "channel_max": 512,
            "num_fp16_res": 4,
            "conv_clamp": 256,
        },
    ),
}
