"""lucidrains' StyleGAN2 that ours is compared with; see `upstream_cases`.

Its module imports much that only training needs, which is replaced by nothing, and kornia's filter,
by a plain one of ours that returns the same numbers.
"""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock, patch

import torch
from torch import Tensor, nn

from .upstream_cases import Case

_OF_TRAINING = (
    "fire",
    "tqdm",
    "einops",
    "kornia",
    "torchvision",
    "vector_quantize_pytorch",
    "aim",
    "stylegan2_pytorch.version",
    "stylegan2_pytorch.diff_augment",
)


def _filtered(features: Tensor, kernel: Tensor, normalized: bool) -> Tensor:
    """kornia's ``filter2d`` for a filter as broad as it is high, with its default border."""
    weight = kernel / kernel.abs().sum() if normalized else kernel
    (around,) = {size // 2 for size in kernel.shape[1:]}
    padded = nn.functional.pad(features, [around] * 4, mode="reflect")
    channels = features.shape[1]
    return nn.functional.conv2d(padded, weight.expand(channels, 1, -1, -1), groups=channels)


def _module() -> Any:
    package = ModuleType("stylegan2_pytorch")
    package.__path__ = [str(Path(sys.path[0]) / package.__name__)]
    sys.modules[package.__name__] = package
    filters = ModuleType("kornia.filters")
    filters.filter2d = _filtered  # type: ignore[attr-defined]
    missing = {name: MagicMock(__path__=[], __version__="") for name in _OF_TRAINING}
    # It asks for a GPU when it is imported, and needs none for what is used here.
    with (
        patch.dict(sys.modules, {**missing, filters.__name__: filters}),
        patch.object(torch.cuda, "is_available", return_value=True),
    ):
        return importlib.import_module("stylegan2_pytorch.stylegan2_pytorch")


class _Averages(nn.Module):
    """Those of upstream's networks, by its names, that its generator is made of."""

    def __init__(self, size: int, latent: int, depth: int, capacity: int) -> None:
        super().__init__()
        module = _module()
        self.SE = module.StyleVectorizer(latent, depth, lr_mul=0.1)
        self.GE = module.Generator(size, latent, network_capacity=capacity)


def _build(arguments: Mapping[str, Any]) -> nn.Module:
    return _Averages(**arguments)


def _images(network: Any, latent: Tensor, _: Tensor | None) -> Tensor:
    """As upstream makes its pictures, but with noise that is constant, and without truncation."""
    styles = network.SE(latent)[:, None].expand(-1, network.GE.num_layers, -1)
    side = network.GE.image_size
    images: Tensor = network.GE(styles, latent.new_full((len(latent), side, side, 1), 0.5))
    return images


def _save(network: nn.Module, folder: Path) -> Path:
    """Beside the trained networks, of which one tensor will do here."""
    path = folder / "model_0.pt"
    others = {"S.net.0.weight": torch.zeros(1), "D.to_logit.bias": torch.zeros(1)}
    torch.save({"GAN": network.state_dict() | others, "version": "1.9.0"}, path)
    return path


def _lucidrains(size: int, latent: int, depth: int, capacity: int) -> Case:
    return Case(
        "stylegan2-lucidrains",
        "lucidrains/stylegan2-pytorch",
        "stylegan2_pytorch/stylegan2_pytorch.py",
        {"size": size, "latent": latent, "depth": depth, "capacity": capacity},
        _build,
        _images,
        _save,
        "GAN",
        designed=(".f",),
    )


LUCIDRAINS: dict[str, Case] = {
    "stylegan2-lucidrains": _lucidrains(16, 12, 3, 2),
    "stylegan2-lucidrains-128": _lucidrains(128, 512, 8, 16),
}
