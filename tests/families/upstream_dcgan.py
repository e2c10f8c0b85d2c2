"""DCGAN of the PyTorch examples, the original WGAN, BEGAN; see `upstream_cases`."""

import ast
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from .upstream_cases import Case, save_state_dict


def _build_dcgan(arguments: Mapping[str, Any]) -> nn.Module:
    """The script's class alone: the rest of the script would train it."""
    tree = ast.parse((Path(sys.path[0]) / "dcgan" / "main.py").read_text())
    tree.body = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Generator"
    ]
    names: dict[str, Any] = {"nn": nn, **arguments}
    exec(compile(tree, "main.py", "exec"), names)
    network: nn.Module = names["Generator"](ngpu=0)
    return network


def _build_wgan(arguments: Mapping[str, Any]) -> nn.Module:
    network: nn.Module = importlib.import_module("models.dcgan").DCGAN_G(**arguments, ngpu=0)
    return network


def _images(network: nn.Module, latent: Tensor, _: Tensor | None) -> Tensor:
    images: Tensor = network(latent[:, :, None, None])
    return (images + 1) / 2


def _dcgan(width: int, latent: int) -> Case:
    arguments = {"nz": latent, "ngf": width, "nc": 3}
    return Case(
        "dcgan",
        "pytorch/examples",
        "dcgan/main.py",
        arguments,
        _build_dcgan,
        _images,
        save_state_dict,
        False,
        4,
    )


def _wgan(width: int, latent: int, side: int) -> Case:
    arguments = {"isize": side, "nz": latent, "nc": 3, "ngf": width}
    return Case(
        "wgan",
        "martinarjovsky/WassersteinGAN",
        "models/dcgan.py",
        arguments,
        _build_wgan,
        _images,
        save_state_dict,
        False,
        4,
    )


def _build_began(arguments: Mapping[str, Any]) -> nn.Module:
    network: nn.Module = importlib.import_module("models").GeneratorCNN(**arguments, num_gpu=0)
    return network


def _began(channels: int, pairs: int, latent: int, count: int) -> Case:
    arguments = {
        "input_num": latent,
        "initial_conv_dim": [channels, 8, 8],
        "output_num": 3,
        "repeat_num": pairs,
        "hidden_num": channels,
    }
    return Case(
        "began",
        "carpedm20/BEGAN-pytorch",
        "models.py",
        arguments,
        _build_began,
        lambda network, latent, _: network(latent),
        save_state_dict,
        False,
        count,
    )


DCGAN: dict[str, Case] = {
    "dcgan": _dcgan(4, 10),
    "dcgan-64": _dcgan(64, 100),
    "wgan": _wgan(8, 10, 32),
    "wgan-64": _wgan(64, 100, 64),
    "began": _began(8, 3, 10, 4),
    "began-64": _began(128, 4, 128, 2),
}
