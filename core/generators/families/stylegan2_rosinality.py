"""StyleGAN2 in PyTorch as rosinality trains and converts it: ``{"g_ema": ...}``.

The decoders in the files of pSp and e4e, under ``state_dict`` with ``decoder.`` before every name,
are the same network. Everything but the mapping's learning rate follows from the tensors.
"""

import re
from collections.abc import Mapping
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .residual import nested
from .style_mapping import ACTIVATION_GAIN, MAPPING_RATE, dense, rate_warnings

_NOTES = (
    "the latent is normalised inside: the density is flat along its radius",
    "no truncation",
    "images may leave [0, 1]: nothing is clipped",
)
_CONSTANT_NOISE = "the noise inputs are the constants in the file; upstream draws them anew"
_NO_NOISE = (
    "the file has no constants for the noise inputs (noises.noise_0, ...): the noise is left out"
)
_FIRST_NOISE = "noises.noise_0"
_ASSUMPTIONS = (
    "latents are N(0, I)",
    "black is -1 and white is 1, as in training",
    f"the mapping's layers have the learning rate {MAPPING_RATE}, as in every published training",
)


def _recognises(shapes: Mapping[str, Shape]) -> bool:
    names = ("input.input", "style.1.weight", "conv1.conv.weight", "to_rgb1.conv.weight")
    return all(name in shapes for name in names)


def _arguments(tensors: PublishedTensors, shapes: Mapping[str, Shape]) -> dict[str, Any]:
    """What our architecture is built with."""
    layers = sum(bool(re.fullmatch(r"style\.\d+\.weight", name)) for name in shapes)
    doublings = sum(bool(re.fullmatch(r"to_rgbs\.\d+\.bias", name)) for name in shapes)
    width, latent_dim = tensors.shape("style.1.weight")
    side = 4 << doublings
    return {
        "latent_dim": latent_dim,
        "num_classes": 0,
        "image_shape": [tensors.shape("to_rgb1.bias")[1], side, side],
        "channels": [
            tensors.shape("input.input")[1],
            *(tensors.shape(f"convs.{2 * index}.conv.weight")[1] for index in range(doublings)),
        ],
        "style_dim": tensors.shape(f"style.{layers}.weight")[0],
        "mapping_width": width,
        "mapping_layers": layers,
        "embedding_dim": 0,
        "clamp": None,
    }


def _styled(
    tensors: PublishedTensors, layer: str, widths: tuple[int, int], side: int, style: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """A styled kernel with its gain folded in, and the dense layer that scales its inputs."""
    inputs, outputs = widths
    kernel = tensors.take(f"{layer}.weight", 1, outputs, inputs, side, side)[0]
    scales = dense(tensors, f"{layer}.modulation", inputs, style)
    return kernel / (side * sqrt(inputs)), {f"scales.{name}": each for name, each in scales.items()}


def _convolution(
    tensors: PublishedTensors, layer: str, widths: tuple[int, int], style: int, noise: Tensor
) -> dict[str, Tensor]:
    """A `StyledConvolution`'s weights that does not enlarge."""
    kernel, scales = _styled(tensors, f"{layer}.conv", widths, 3, style)
    strength = tensors.take(f"{layer}.noise.weight", 1)
    return {
        "weight": kernel * ACTIVATION_GAIN,
        "energy": kernel.square().sum(dim=(2, 3)),
        "noise": noise * strength * ACTIVATION_GAIN,
        "bias": tensors.take(f"{layer}.activate.bias", widths[1]) * ACTIVATION_GAIN,
        **scales,
    }


def _pixels(
    tensors: PublishedTensors, layer: str, width: int, colours: int, style: int
) -> dict[str, Tensor]:
    """A `StyledPixels`' weights."""
    kernel, scales = _styled(tensors, f"{layer}.conv", (width, colours), 1, style)
    return {"weight": kernel, "bias": tensors.take(f"{layer}.bias", 1, colours, 1, 1).flatten()} | (
        scales
    )


def _require_filter(tensors: PublishedTensors, name: str) -> None:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 4
    found = tensors.take(name, 4, 4)
    if name in tensors and not torch.allclose(found, taps.outer(taps)):
        raise CheckpointError(f"{name} is not the filter [1, 3, 3, 1]")


def _noises(tensors: PublishedTensors, layers: int) -> list[Tensor]:
    """The constant of every layer's noise; zeros for a file that has none of them."""
    sides = [4 << (layer + 1) // 2 for layer in range(layers)]
    if _FIRST_NOISE not in tensors:
        return [torch.zeros(side, side, dtype=torch.float64) for side in sides]
    return [
        tensors.take(f"noises.noise_{layer}", 1, 1, side, side)[0, 0]
        for layer, side in enumerate(sides)
    ]


def _require_no_wavelets(shapes: Mapping[str, Shape]) -> None:
    if any(".iwt." in name for name in shapes):
        raise CheckpointError(
            "it is a SWAGAN, whose images are made of wavelets; only the repository's 'stylegan2' "
            "architecture is supported"
        )


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, tensors = checkpoint.shapes, PublishedTensors(checkpoint.tensors)
    _require_no_wavelets(shapes)
    arguments = _arguments(tensors, shapes)
    channels, style = arguments["channels"], arguments["style_dim"]
    colours, depth = arguments["image_shape"][0], len(channels) - 1
    noises = _noises(tensors, 2 * depth + 1)
    parts = {
        "refining.0": _convolution(tensors, "conv1", (channels[0],) * 2, style, noises[0]),
        "pixels.0": _pixels(tensors, "to_rgb1", channels[0], colours, style),
    }
    widths = [arguments["latent_dim"], *[arguments["mapping_width"]] * arguments["mapping_layers"]]
    for index in range(arguments["mapping_layers"]):
        pair = widths[index + 1], widths[index]
        layer = dense(tensors, f"style.{index + 1}", *pair, MAPPING_RATE)
        parts[f"mapping.layers.{index}"] = {
            name: tensor * ACTIVATION_GAIN for name, tensor in layer.items()
        }
    for index in range(depth):
        inputs, width = channels[index : index + 2]
        first, second = f"convs.{2 * index}", f"convs.{2 * index + 1}"
        _require_filter(tensors, f"{first}.conv.blur.kernel")
        _require_filter(tensors, f"to_rgbs.{index}.upsample.kernel")
        wide = _convolution(tensors, first, (inputs, width), style, noises[2 * index + 1])
        parts[f"enlarging.{index}"] = wide | {"weight": wide["weight"].transpose(0, 1)}
        fine = _convolution(tensors, second, (width, width), style, noises[2 * index + 2])
        parts[f"refining.{index + 1}"] = fine
        parts[f"pixels.{index + 1}"] = _pixels(tensors, f"to_rgbs.{index}", width, colours, style)
    constant = tensors.take("input.input", 1, channels[0], 4, 4)[0]
    tensors.require_all()
    weights = {"constant": constant, **nested(parts)}
    has_noise = _FIRST_NOISE in tensors
    return Translation(
        "stylegan2",
        arguments,
        weights,
        (_CONSTANT_NOISE, *_NOTES) if has_noise else _NOTES,
        _ASSUMPTIONS if has_noise else (*_ASSUMPTIONS, _NO_NOISE),
        rate_warnings(checkpoint.tensors["style.1.weight"]),
    )


STYLEGAN2_ROSINALITY = Family(
    "StyleGAN2 of rosinality's stylegan2-pytorch, and the decoders of pSp and e4e",
    _recognises,
    _translate,
)
