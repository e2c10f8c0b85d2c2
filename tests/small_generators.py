"""An untrained generator of every architecture, small, and of every kind of layer it may have."""

from collections.abc import Mapping
from itertools import count
from typing import Any

import torch
from offmanifold.core.generators.architectures import build
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.generators.stylegan3 import LayerSettings

_SIDE = 32


def small_generator(family: str) -> Generator:
    """A generator of 3x32x32 images in float32, the same at every call."""
    architecture, arguments = FAMILIES[family]
    return untrained(architecture, {"image_shape": [3, _SIDE, _SIDE], **arguments})


def untrained(architecture: str, arguments: Mapping[str, Any]) -> Generator:
    """The architecture with weights from one seed, in evaluation mode, frozen."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator: Generator = (
            build("generator", architecture, arguments).eval().requires_grad_(False)
        )
    return generator


def stylegan2_arguments(channels: list[int], latent_dim: int, num_classes: int) -> dict[str, Any]:
    """Of a StyleGAN2 with these channels at 4x4, 8x8 and so on."""
    side = 4 << (len(channels) - 1)
    return {
        "latent_dim": latent_dim,
        "num_classes": num_classes,
        "image_shape": [3, side, side],
        "channels": channels,
        "style_dim": latent_dim,
        "mapping_width": latent_dim,
        "mapping_layers": 2,
        "embedding_dim": latent_dim,
        "clamp": 256.0,
    }


def residual_arguments(
    width: int,
    latent_dim: int,
    *,
    hierarchical: bool = False,
    embedding_dim: int = 0,
    attention_after: tuple[int, ...] = (),
) -> dict[str, Any]:
    """Of a residual generator of 32x32 images with ten classes."""
    return {
        "latent_dim": latent_dim,
        "num_classes": 10,
        "image_shape": [3, _SIDE, _SIDE],
        "channels": [width] * 4,
        "hierarchical": hierarchical,
        "embedding_dim": embedding_dim,
        "attention_after": attention_after,
    }


def _stylegan3_arguments(*, radial: bool, width: int = 16) -> dict[str, Any]:
    layers: list[dict[str, Any]] = []
    side = first_side = 36
    sampling = [(2, 12, 2, 12), (4, 24, 2, 12), (2, 12, 2, 12), (2, 12, 1, 1)]
    for (up, up_taps, down, down_taps), target in zip(sampling, [36, 52, 52, _SIDE], strict=True):
        layer = {
            "inputs": width,
            "outputs": width,
            "kernel": 1 if radial else 3,
            "up": up,
            "up_taps": up_taps,
            "down": down,
            "down_taps": down_taps,
            "radial": radial and down > 1,
            "clamp": 256.0,
        }
        cropped = next(n for n in count() if _layer(layer, n).side(side) <= target)
        layers.append({**layer, "cropped": cropped})
        side = target
    return {
        "latent_dim": 64,
        "num_classes": 10 if radial else 0,
        "layers": layers,
        "first_side": first_side,
        "style_dim": 64,
        "mapping_width": 64,
        "mapping_layers": 2,
        "embedding_dim": 64 if radial else 0,
        "pixel_clamp": 256.0,
    }


def _layer(layer: Mapping[str, Any], cropped: int) -> LayerSettings:
    return LayerSettings(**layer, cropped=cropped)


FAMILIES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "dense": ("dense", {"latent_dim": 16, "num_classes": 10, "width": 64, "depth": 2}),
    "convolutional": (
        "convolutional",
        {
            "latent_dim": 16,
            "num_classes": 10,
            "width": 64,
            "coarse_channels": 16,
            "fine_channels": 8,
        },
    ),
    "residual": ("residual", residual_arguments(16, 16)),
    "residual, hierarchical with attention": (
        "residual",
        residual_arguments(16, 32, hierarchical=True, embedding_dim=8, attention_after=(1,)),
    ),
    "biggan_deep": (
        "biggan_deep",
        {
            "latent_dim": 16,
            "num_classes": 10,
            "channels": [64, 64, 64, 32, 32, 32, 32],
            "enlarging": [False, True] * 3,
            "attention_before": [4],
            "truncation": 0.4,
            "convolved_shortcuts": False,
        },
    ),
    "stylegan2": ("stylegan2", stylegan2_arguments([16] * 4, 32, 10)),
    "stylegan3-t": ("stylegan3", _stylegan3_arguments(radial=False)),
    "stylegan3-r": ("stylegan3", _stylegan3_arguments(radial=True)),
    "deep_convolutional": (
        "deep_convolutional",
        {
            "latent_dim": 16,
            "num_classes": 0,
            "channels": [32, 16, 8],
            "rectified_start": True,
            "enlarging_output": True,
        },
    ),
    "began": ("began", {"latent_dim": 16, "num_classes": 0, "channels": 16}),
    "transposed": (
        "transposed",
        {
            "latent_dim": 16,
            "num_classes": 0,
            "widths": [32],
            "convolutions": [[16, 4, 2, 1, 0], [8, 4, 2, 1, 0], [8, 4, 2, 1, 0], [3, 1, 1, 0, 0]],
            "leak": 0.1,
            "uniform_latent": True,
        },
    ),
    "r3gan": (
        "r3gan",
        {
            "latent_dim": 16,
            "num_classes": 10,
            "embedding_dim": 16,
            "channels": [16, 16, 8, 8],
            "inner": [16, 16, 16, 16],
            "groups": [2, 2, 2, 2],
            "blocks": [1, 1, 1, 1],
            "kernel": 3,
        },
    ),
}
