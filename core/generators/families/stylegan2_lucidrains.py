"""StyleGAN2 in PyTorch as lucidrains trains it: ``{"GAN": ...}``, all networks in one state dict.

The generator is the moving averages ``SE``, of the mapping, and ``GE``, of the rest. Its noise,
one uniform image for all layers, is drawn anew for every picture; here it is fixed at its mean.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from math import sqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import conv2d

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .residual import nested

# The mean of noise that is uniform on [0, 1].
_NOISE = 0.5
# The mapping's learning rate where no config says another.
_RATE = 0.1
_NOTES = (
    f"the noise image is the constant {_NOISE}, the mean of upstream's, which is uniform on [0, 1] "
    "and drawn anew for every picture",
    "the weights are the moving averages, GE and SE",
    "the latent is normalised inside: the density is flat along its radius",
    "no truncation; upstream's pictures are truncated at 0.75 unless told otherwise",
    "images may leave [0, 1]: nothing is clipped",
)
_ASSUMPTIONS = ("latents are N(0, I)", "black is 0 and white is 1, as in training")


def _recognises(shapes: Mapping[str, Shape]) -> bool:
    names = ("SE.net.0.weight", "GE.initial_conv.weight", "GE.blocks.0.to_noise1.weight")
    return all(name in shapes for name in names)


def _require_plain(shapes: Mapping[str, Shape]) -> None:
    """Raises CheckpointError for the options of the network that are not implemented here."""
    options = {"GE.attns.": "attn_layers", "GE.to_initial_block.": "no_const"}
    for prefix, option in options.items():
        if any(name.startswith(prefix) for name in shapes):
            raise CheckpointError(
                f"it was trained with the option {option}, which is not supported; write a "
                "module:function that builds it with upstream's code, its noise fixed"
            )


def _rate(settings: Mapping[str, Any]) -> tuple[float, tuple[str, ...]]:
    """The mapping's learning rate by upstream's config, and what is assumed without it."""
    if "lr_mlp" not in settings:
        return _RATE, (
            f"the mapping's layers have the learning rate {_RATE}, upstream's default: its "
            ".config.json is not beside the file",
        )
    rate = settings["lr_mlp"]
    if not isinstance(rate, int | float) or not rate > 0:
        raise CheckpointError(f"lr_mlp in .config.json is {rate!r}, expected a positive number")
    return float(rate), ()


def _scales(tensors: PublishedTensors, layer: str, inputs: int, style: int) -> dict[str, Tensor]:
    """The dense layer that scales a styled layer's inputs, by 1 more than upstream's gives."""
    return {
        "scales.weight": tensors.take(f"{layer}.weight", inputs, style),
        "scales.bias": tensors.take(f"{layer}.bias", inputs) + 1,
    }


def _convolution(
    tensors: PublishedTensors, block: str, number: int, widths: tuple[int, int], style: int
) -> dict[str, Tensor]:
    """A `StyledConvolution`'s weights but for its noise, which is constant and so in the bias."""
    inputs, outputs = widths
    kernel = tensors.take(f"{block}.conv{number}.weight", outputs, inputs, 3, 3)
    noise = tensors.take(f"{block}.to_noise{number}.weight", outputs, 1)[:, 0]
    return {
        "weight": kernel,
        "energy": kernel.square().sum(dim=(2, 3)),
        "bias": tensors.take(f"{block}.to_noise{number}.bias", outputs) + _NOISE * noise,
        **_scales(tensors, f"{block}.to_style{number}", inputs, style),
    }


def _pixels(
    tensors: PublishedTensors, layer: str, width: int, colours: int, style: int
) -> dict[str, Tensor]:
    """A `StyledPixels`' weights."""
    return {
        "weight": tensors.take(f"{layer}.conv.weight", colours, width, 1, 1),
        "bias": torch.zeros(colours, dtype=torch.float64),
        **_scales(tensors, f"{layer}.to_style", width, style),
    }


def _constant(tensors: PublishedTensors, width: int) -> Tensor:
    """What the first, plain convolution makes of the learned map."""
    start = tensors.take("GE.initial_block", 1, width, 4, 4)
    kernel = tensors.take("GE.initial_conv.weight", width, width, 3, 3)
    return conv2d(start, kernel, tensors.take("GE.initial_conv.bias", width), padding=1)[0]


def _mapping(
    tensors: PublishedTensors, layers: int, style: int, rate: float
) -> dict[str, dict[str, Tensor]]:
    """The mapping's dense layers; latents come with mean square 1, upstream's with length 1."""
    return {
        f"mapping.layers.{index}": {
            "weight": tensors.take(f"SE.net.{2 * index}.weight", style, style)
            * (rate if index else rate / sqrt(style)),
            "bias": tensors.take(f"SE.net.{2 * index}.bias", style) * rate,
        }
        for index in range(layers)
    }


def _require_blur(tensors: PublishedTensors, name: str) -> None:
    found = tensors.take(name, 3)
    if name in tensors and found.tolist() != [1.0, 2.0, 1.0]:
        raise CheckpointError(f"{name} is not the filter [1, 2, 1]")


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, tensors = checkpoint.shapes, PublishedTensors(checkpoint.tensors)
    _require_plain(shapes)
    rate, assumed = _rate(checkpoint.settings)
    style = tensors.shape("SE.net.0.weight")[0]
    layers = sum(bool(re.fullmatch(r"SE\.net\.\d+\.weight", name)) for name in shapes)
    depth = sum(bool(re.fullmatch(r"GE\.blocks\.\d+\.conv1\.weight", name)) for name in shapes)
    blocks = [f"GE.blocks.{index}" for index in range(depth)]
    channels = [
        tensors.shape("GE.initial_conv.weight")[0],
        *(tensors.shape(f"{block}.conv1.weight")[0] for block in blocks),
    ]
    colours = tensors.shape("GE.blocks.0.to_rgb.conv.weight")[0]
    parts = _mapping(tensors, layers, style, rate)
    for index, (block, widths) in enumerate(zip(blocks, pairwise(channels), strict=True)):
        noise = torch.zeros(4 << index, 4 << index, dtype=torch.float64)
        last = widths[1]
        parts |= {
            f"first.{index}": _convolution(tensors, block, 1, widths, style) | {"noise": noise},
            f"second.{index}": _convolution(tensors, block, 2, (last, last), style)
            | {"noise": noise.clone()},
            f"pixels.{index}": _pixels(tensors, f"{block}.to_rgb", last, colours, style),
        }
        if index < depth - 1:
            _require_blur(tensors, f"{block}.to_rgb.upsample.1.f")
    constant = _constant(tensors, channels[0])
    tensors.require_all()
    side = 4 << (depth - 1)
    arguments = {
        "latent_dim": style,
        "num_classes": 0,
        "image_shape": [colours, side, side],
        "channels": channels,
        "style_dim": style,
        "mapping_layers": layers,
    }
    weights = {"constant": constant, **nested(parts)}
    return Translation("stylegan2_bilinear", arguments, weights, _NOTES, (*_ASSUMPTIONS, *assumed))


STYLEGAN2_LUCIDRAINS = Family(
    "StyleGAN2 of lucidrains' stylegan2-pytorch, its noise fixed",
    _recognises,
    _translate,
    reads_config=True,
    average_names=r"(SE|GE)\.",
)
