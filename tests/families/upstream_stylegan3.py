"""StyleGAN3 and StyleGAN-XL, the stem and a super-resolution stage; see `upstream_cases`."""

import importlib
import sys
import tempfile
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any

import dill
from torch import Tensor, nn

from .upstream_cases import Case, give_pkg_resources, one_hot, save_pickle, stylegan2_images

_XL = "training.networks_stylegan3_resetting"
_R = {"conv_kernel": 1, "use_radial_filters": True}
_T = {"conv_kernel": 3, "use_radial_filters": False}


def _networks(module: str) -> Any:
    """Upstream's module."""
    give_pkg_resources()
    return importlib.import_module(module)


def _images(network: Any, latent: Tensor, condition: Tensor | None) -> Tensor:
    images: Tensor = network(latent, one_hot(condition, network.c_dim, latent), force_fp32=True)
    return (images + 1) / 2


def _build_stylegan3(arguments: Mapping[str, Any]) -> nn.Module:
    network: nn.Module = _networks("training.networks_stylegan3").Generator(**arguments)
    return network


def _build_xl(arguments: Mapping[str, Any]) -> nn.Module:
    """The stem, or the stages given as ``heads``, each on a file of what was before."""
    stages = {key: value for key, value in arguments.items() if key != "heads"}
    # It reads its classes' embedding from the folder in which it is trained.
    with chdir(sys.path[0]), tempfile.TemporaryDirectory() as folder:
        network: nn.Module = _networks(_XL).Generator(**stages)
        for head in arguments.get("heads", ()):
            stem = save_dill(network, Path(folder))
            network = _networks(_XL).SuperresGenerator(path_stem=str(stem), **head)
    return network


def save_dill(network: nn.Module, folder: Path) -> Path:
    """A snapshot as StyleGAN-XL's training writes it."""
    path = folder / "network-snapshot.pkl"
    path.write_bytes(dill.dumps({"G": network, "D": None, "G_ema": network}))
    return path


def _stylegan3(count: int = 2, **arguments: Any) -> Case:
    return Case(
        "stylegan3",
        "NVlabs/stylegan3",
        "training/networks_stylegan3.py",
        {"img_channels": 3, **arguments},
        _build_stylegan3,
        _images,
        save_pickle,
        "pickle",
        count,
        designed=() if arguments["w_dim"] == _SMALL["w_dim"] else ("up_filter", "down_filter"),
    )


def _stylegan_xl(count: int = 2, **arguments: Any) -> Case:
    return Case(
        "stylegan-xl",
        "autonomousvision/stylegan-xl",
        "training/networks_stylegan3_resetting.py",
        {"img_channels": 3, "mapping_kwargs": {"num_layers": 2}, **arguments},
        _build_xl,
        _images,
        save_dill,
        "dill",
        count,
        designed=() if arguments["w_dim"] == _SMALL["w_dim"] else ("up_filter", "down_filter"),
    )


_SMALL = {"z_dim": 16, "w_dim": 12, "channel_base": 256, "channel_max": 8, "num_layers": 5}
_SMALL_XL = {**_SMALL, **_T, "z_dim": 8, "img_resolution": 16, "num_layers": 6}
_HEAD = {"img_resolution": 32, "head_layers": 4, "up_factor": 2}
_WIDE = {"z_dim": 512, "w_dim": 512, "channel_base": 16384, "channel_max": 256}
_STEM = {"z_dim": 64, "w_dim": 512, "img_resolution": 16, "num_layers": 10, **_T}

STYLEGAN3 = {
    "stylegan2-of-stylegan3": Case(
        "stylegan2-ada",
        "NVlabs/stylegan3",
        "training/networks_stylegan2.py",
        {
            "z_dim": 16,
            "c_dim": 3,
            "w_dim": 12,
            "img_resolution": 16,
            "img_channels": 3,
            "mapping_kwargs": {"num_layers": 2},
            "channel_base": 128,
            "channel_max": 8,
            "conv_clamp": 2,
        },
        lambda arguments: _networks("training.networks_stylegan2").Generator(**arguments),
        stylegan2_images,
        save_pickle,
        "pickle",
    ),
    "stylegan3-t": _stylegan3(c_dim=4, img_resolution=32, **_SMALL),
    "stylegan3-r": _stylegan3(c_dim=0, img_resolution=16, **_SMALL, **_R),
    "stylegan3-t-64": _stylegan3(c_dim=10, img_resolution=64, **_WIDE, **_T),
    "stylegan3-r-64": _stylegan3(c_dim=0, img_resolution=64, **_WIDE, **_R),
    "stylegan-xl": _stylegan_xl(c_dim=5, **_SMALL_XL),
    "stylegan-xl-unconditional": _stylegan_xl(c_dim=0, **_SMALL_XL),
    "stylegan-xl-superresolution": _stylegan_xl(c_dim=5, heads=[_HEAD], **_SMALL_XL),
    "stylegan-xl-16": _stylegan_xl(c_dim=1000, **_STEM, channel_base=65536, channel_max=1024),
    "stylegan-xl-64": _stylegan_xl(
        c_dim=1000,
        channel_base=16384,
        channel_max=256,
        heads=[
            {"img_resolution": 32, "head_layers": 7, "up_factor": 2},
            {"img_resolution": 64, "head_layers": 7, "up_factor": 2},
        ],
        **_STEM,
    ),
}
