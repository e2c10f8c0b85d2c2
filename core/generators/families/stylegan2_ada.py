"""StyleGAN2-ADA (PyTorch): a pickle with the averaged generator ``G_ema``, its layers' settings.

The StyleGAN2 that StyleGAN3's repository trains and publishes is the same network.
"""

from collections.abc import Mapping
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .modules import PublishedModules
from .residual import nested
from .style_mapping import (
    ACTIVATION_GAIN,
    mapping_arguments,
    mapping_layers,
    one_hot_embedding,
    style_scales,
    styled_pixels,
)

_NOTES = (
    "the noise inputs are the constants in the file",
    "the latent is normalised inside: the density is flat along its radius",
    "images may leave [0, 1]: nothing is clipped",
)


def _recognises(shapes: Mapping[str, Shape]) -> bool:
    return all(
        name in shapes
        for name in ("mapping.fc0.weight", "synthesis.b4.const", "synthesis.b4.conv1.weight")
    )


def _arguments(tensors: PublishedTensors, modules: PublishedModules) -> dict[str, Any]:
    """What our architecture is built with, without the mapping's part.

    Raises:
        CheckpointError: the modules were set to what is not implemented here.
    """
    side = modules.get("synthesis", "img_resolution")
    sides = [4 << index for index in range(side.bit_length() - 2)]
    widths = [tensors.shape(f"synthesis.b{side}.conv1.weight")[0] for side in sides]
    clamp = modules.get("synthesis.b4.conv1", "conv_clamp")
    for size in sides:
        block = f"synthesis.b{size}"
        modules.require(block, "architecture", "skip")
        for layer in (["conv0"] if size > sides[0] else []) + ["conv1", "torgb"]:
            modules.require(f"{block}.{layer}", "conv_clamp", clamp)
            if layer != "torgb":
                modules.require(f"{block}.{layer}", "activation", "lrelu")
    return {
        "image_shape": [tensors.shape("synthesis.b4.torgb.weight")[0], side, side],
        "channels": widths,
        "clamp": None if clamp is None else float(clamp),
    }


def _convolution(
    tensors: PublishedTensors, layer: str, widths: tuple[int, int], style: int, side: int
) -> dict[str, Tensor]:
    """A `StyledConvolution`'s weights; a layer named conv0 enlarges."""
    inputs, outputs = widths
    _require_filter(tensors, layer)
    kernel = tensors.take(f"{layer}.weight", outputs, inputs, 3, 3)
    noise = torch.zeros(side, side, dtype=kernel.dtype)
    if f"{layer}.noise_const" in tensors:
        strength = tensors.take(f"{layer}.noise_strength")
        noise = tensors.take(f"{layer}.noise_const", side, side) * strength
    enlarges = layer.endswith("conv0")
    weights = {
        "weight": (kernel.transpose(0, 1) if enlarges else kernel) * ACTIVATION_GAIN,
        "energy": kernel.square().sum(dim=(2, 3)),
        "noise": noise * ACTIVATION_GAIN,
        "bias": tensors.take(f"{layer}.bias", outputs) * ACTIVATION_GAIN,
    }
    return weights | style_scales(tensors, layer, inputs, style)


def _require_filter(tensors: PublishedTensors, layer: str) -> None:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8
    found = tensors.take(f"{layer}.resample_filter", 4, 4)
    if f"{layer}.resample_filter" in tensors and not torch.allclose(found, taps.outer(taps)):
        raise CheckpointError(f"{layer}.resample_filter is not the filter [1, 3, 3, 1]")


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, modules = checkpoint.shapes, PublishedModules(checkpoint.modules)
    tensors = PublishedTensors(checkpoint.tensors)
    tensors.shape("mapping.fc0.weight")
    embedding = shapes.get("mapping.embed.weight", (0, 0))
    arguments = {
        **mapping_arguments(shapes, embedding[0]),
        "num_classes": embedding[-1],
        **_arguments(tensors, modules),
    }
    parts = mapping_layers(tensors, arguments, modules)
    parts |= one_hot_embedding(tensors, arguments)
    widths, style = arguments["channels"], arguments["style_dim"]
    colours = arguments["image_shape"][0]
    for index, width in enumerate(widths):
        side = 4 << index
        block = f"synthesis.b{side}"
        _require_filter(tensors, block)
        if index:
            pair = (widths[index - 1], width)
            enlarging = _convolution(tensors, f"{block}.conv0", pair, style, side)
            parts[f"enlarging.{index - 1}"] = enlarging
        refining = _convolution(tensors, f"{block}.conv1", (width, width), style, side)
        parts[f"refining.{index}"] = refining
        parts[f"pixels.{index}"] = styled_pixels(
            tensors, f"{block}.torgb", (width, colours), style, gain=1 / sqrt(width)
        )
    constant = tensors.take("synthesis.b4.const", widths[0], 4, 4)
    tensors.require_all()
    weights = {"constant": constant, **nested(parts)}
    return Translation("stylegan2", arguments, weights, _NOTES)


STYLEGAN2_ADA = Family("StyleGAN2-ADA (PyTorch)", _recognises, _translate, reads_modules=True)
