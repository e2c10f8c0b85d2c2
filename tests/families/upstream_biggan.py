"""BigGAN-PyTorch, DiffAugment's BigGAN, Hugging Face's BigGAN-deep; see `upstream_cases`."""

import importlib
import json
import sys
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .upstream_cases import Case, one_hot, save_state_dict


def _build_biggan(folder: str, arguments: Mapping[str, Any]) -> nn.Module:
    sys.path.insert(0, str(Path(sys.path[0]) / folder))
    network: nn.Module = importlib.import_module("BigGAN").Generator(no_optim=True, **arguments)
    return network


def _biggan_images(network: Any, latent: Tensor, condition: Tensor | None) -> Tensor:
    images: Tensor = network(latent, network.shared(condition))
    return (images + 1) / 2


def _biggan(count: int = 4, diff_augment: bool = False, **arguments: Any) -> Case:
    folder = "DiffAugment-biggan-cifar" if diff_augment else ""
    return Case(
        "biggan-pytorch",
        "mit-han-lab/data-efficient-gans" if diff_augment else "ajbrock/BigGAN-PyTorch",
        f"{folder}/BigGAN.py" if folder else "BigGAN.py",
        arguments,
        lambda given: _build_biggan(folder, given),
        _biggan_images,
        save_state_dict,
        False,
        count,
    )


def _build_deep(arguments: Mapping[str, Any]) -> nn.Module:
    upstream: Any = importlib.import_module("pytorch_pretrained_biggan.model")
    network: nn.Module = upstream.BigGAN(upstream.BigGANConfig(**arguments))
    return network


def _deep(truncation: float, count: int, **arguments: Any) -> Case:
    def images(network: Any, latent: Tensor, condition: Tensor | None) -> Tensor:
        outside = torch.special.ndtr(torch.tensor(-2.0, dtype=torch.float64)).item()
        bounded = torch.special.ndtri(outside + (1 - 2 * outside) * torch.special.ndtr(latent))
        classes = one_hot(condition, arguments["num_classes"], latent)
        made: Tensor = network(truncation * bounded, classes, truncation)
        return (made + 1) / 2

    def save(network: nn.Module, folder: Path) -> Path:
        (folder / "config.json").write_text(json.dumps(arguments))
        return save_state_dict(network, folder)

    return Case(
        "biggan-deep",
        "huggingface/pytorch-pretrained-BigGAN",
        "pytorch_pretrained_biggan/model.py",
        arguments,
        _build_deep,
        images,
        save,
        False,
        count,
        truncation,
    )


def _deep_layers(*widths: int) -> list[list[bool | int]]:
    """Pairs of blocks, of which the second enlarges, from a width to the next."""
    return [
        layer
        for inputs, outputs in pairwise(widths)
        for layer in ([False, inputs, inputs], [True, inputs, outputs])
    ]


_SMALL_DEEP: dict[str, Any] = {"channel_width": 4, "eps": 1e-4, "n_stats": 51}
_IMAGENET: dict[str, Any] = {"z_dim": 128, "class_embed_dim": 128, "num_classes": 1000}

BIGGAN: dict[str, Case] = {
    "biggan-pytorch-hierarchical": _biggan(
        G_ch=4,
        dim_z=20,
        shared_dim=6,
        resolution=64,
        G_attn="32",
        n_classes=7,
        G_shared=True,
        hier=True,
        SN_eps=1e-6,
    ),
    "biggan-pytorch-shared": _biggan(
        G_ch=4,
        dim_z=12,
        shared_dim=6,
        resolution=32,
        G_attn="16",
        n_classes=7,
        G_shared=True,
        hier=False,
    ),
    "biggan-pytorch-cifar10": _biggan(
        G_ch=64, dim_z=128, resolution=32, G_attn="0", n_classes=10, G_shared=False, hier=False
    ),
    "biggan-pytorch-imagenet128": _biggan(
        count=2,
        G_ch=96,
        dim_z=120,
        shared_dim=128,
        resolution=128,
        G_attn="64",
        n_classes=1000,
        G_shared=True,
        hier=True,
        SN_eps=1e-6,
        BN_eps=1e-5,
    ),
    "biggan-diffaugment": _biggan(
        diff_augment=True,
        G_ch=4,
        dim_z=16,
        resolution=32,
        G_attn="0",
        n_classes=10,
        G_shared=False,
        hier=False,
    ),
    "biggan-diffaugment-cifar10": _biggan(
        diff_augment=True,
        G_ch=256,
        dim_z=128,
        resolution=32,
        G_attn="0",
        n_classes=10,
        G_shared=False,
        hier=False,
    ),
    "biggan-deep": _deep(
        0.37,
        4,
        **_SMALL_DEEP,
        output_dim=32,
        z_dim=16,
        class_embed_dim=16,
        num_classes=7,
        layers=_deep_layers(16, 8, 4, 2, 1),
        attention_layer_position=4,
    ),
    "biggan-deep-imagenet128": _deep(
        0.4,
        2,
        **_SMALL_DEEP | {"channel_width": 128},
        **_IMAGENET,
        output_dim=128,
        layers=_deep_layers(16, 16, 8, 4, 2, 1),
        attention_layer_position=8,
    ),
}
