"""rosinality's StyleGAN2, and the decoders of pSp and e4e, that ours are compared with.

See `upstream_cases`. The repositories compile operations for a GPU when they are imported: the
first has others for a processor beside them, the other two get plain ones of ours.
"""

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
import torch.utils.cpp_extension
from torch import Tensor, nn

from .upstream_cases import Case


class _BiasedRelu(nn.Module):
    def __init__(self, channel: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channel))

    def forward(self, features: Tensor) -> Tensor:
        return _biased_relu(features, self.bias)


def _biased_relu(features: Tensor, bias: Tensor) -> Tensor:
    shifted = features + bias.view(1, -1, *(1 for _ in features.shape[2:]))
    return nn.functional.leaky_relu(shifted, 0.2) * 2**0.5


def _resampled(
    features: Tensor, kernel: Tensor, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)
) -> Tensor:
    """Zeros between the values, zeros around them, a convolution, every ``down``-th value."""
    batch, channels, height, width = features.shape
    spread = features.new_zeros(batch, channels, height * up, width * up)
    spread[:, :, ::up, ::up] = features
    padded = nn.functional.pad(spread, (*pad, *pad))
    filters = kernel.flip(0, 1).expand(channels, 1, -1, -1)
    return nn.functional.conv2d(padded, filters, groups=channels)[:, :, ::down, ::down]


def _build(arguments: Mapping[str, Any]) -> nn.Module:
    torch.utils.cpp_extension.load = lambda *_, **__: None
    network: nn.Module = importlib.import_module("model").Generator(**arguments)
    return network


def _build_decoder(arguments: Mapping[str, Any]) -> nn.Module:
    """The checkout's own network; two of its packages need the machinery of training."""
    operations = ModuleType("models.stylegan2.op")
    operations.FusedLeakyReLU = _BiasedRelu  # type: ignore[attr-defined]
    operations.fused_leaky_relu = _biased_relu  # type: ignore[attr-defined]
    operations.upfirdn2d = _resampled  # type: ignore[attr-defined]
    for name in ("models", "models.stylegan2"):
        package = ModuleType(name)
        package.__path__ = [str(Path(sys.path[0]).joinpath(*name.split(".")))]
        sys.modules[name] = package
    sys.modules[operations.__name__] = operations
    module = importlib.import_module("models.stylegan2.model")
    network: nn.Module = module.Generator(**arguments)
    return network


def _images(network: nn.Module, latent: Tensor, _: Tensor | None) -> Tensor:
    images: Tensor = network([latent], randomize_noise=False)[0]
    return (images + 1) / 2


def _save_average(network: nn.Module, folder: Path) -> Path:
    path = folder / "network.pt"
    torch.save({"g_ema": network.state_dict(), "latent_avg": torch.zeros(512)}, path)
    return path


def _save_decoder(network: nn.Module, folder: Path) -> Path:
    """Beside an encoder, of which two layers will do here."""
    encoder = {"encoder.input_layer.0.weight": torch.zeros(64, 3, 3, 3)}
    decoder = {f"decoder.{name}": tensor for name, tensor in network.state_dict().items()}
    average = torch.zeros(18, 512)
    path = folder / "network.pt"
    torch.save({"state_dict": encoder | decoder, "latent_avg": average, "opts": {}}, path)
    return path


def _rosinality(size: int, count: int = 2, **own: Any) -> Case:
    return Case(
        "stylegan2-rosinality",
        "rosinality/stylegan2-pytorch",
        "model.py",
        {"size": size, "style_dim": 512, "n_mlp": 8, **own},
        _build,
        _images,
        _save_average,
        "g_ema",
        count,
        designed=("kernel",),
    )


def _decoder(repository: str, size: int) -> Case:
    return Case(
        "stylegan2-rosinality",
        repository,
        "models/stylegan2/model.py",
        {"size": size, "style_dim": 512, "n_mlp": 8},
        _build_decoder,
        _images,
        _save_decoder,
        "decoder",
        designed=("kernel",),
    )


ROSINALITY: dict[str, Case] = {
    "stylegan2-rosinality": _rosinality(8, style_dim=12, n_mlp=3),
    "stylegan2-rosinality-256": _rosinality(256),
    "psp-decoder-64": _decoder("eladrich/pixel2style2pixel", 64),
    "e4e-decoder-64": _decoder("omertov/encoder4editing", 64),
}
