"""StyleGAN3 and StyleGAN-XL: a pickle with the averaged generator ``G_ema``, its layers' settings.

How a layer samples cannot be seen in its tensors: factors, padding and bounds are attributes of the
pickled layers. StyleGAN-XL's super-resolution stages add layers to those of their stem in one
sequence, so that a stage's file holds the whole network.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from math import sqrt

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from ..stylegan3 import LayerShape
from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .modules import PublishedModules
from .residual import nested
from .style_mapping import (
    ACTIVATION_GAIN,
    dense,
    embedding,
    mapping_arguments,
    mapping_layers,
    one_hot_embedding,
)

_NOTES = (
    "everything is float32",
    "the latent is normalised inside: the density is flat along its radius",
    "images may leave [0, 1]: nothing is clipped",
)


def _recognises_stylegan3(shapes: Mapping[str, Shape]) -> bool:
    return "synthesis.input.freqs" in shapes and not _has_table(shapes)


def _recognises_stylegan_xl(shapes: Mapping[str, Shape]) -> bool:
    return "synthesis.input.freqs" in shapes and _has_table(shapes)


def _has_table(shapes: Mapping[str, Shape]) -> bool:
    """StyleGAN-XL's classes have an embedding, which a file without classes holds all the same."""
    return "mapping.embed.weight" in shapes and "mapping.embed.bias" not in shapes


def _layer_names(shapes: Mapping[str, Shape]) -> list[str]:
    """The layers in their order, which their names begin with; the last one makes pixels."""
    found = {
        int(match[2]): match[1]
        for match in (re.match(r"(synthesis\.L(\d+)_[^.]+)\.weight$", name) for name in shapes)
        if match
    }
    if len(found) < 2:
        raise CheckpointError("it has no layers named synthesis.L0_..., synthesis.L1_..., ...")
    return [found[index] for index in sorted(found)]


def _layer_shape(tensors: PublishedTensors, modules: PublishedModules, layer: str) -> LayerShape:
    """The sizes of a layer, by its tensors and attributes."""
    modules.require(layer, "is_torgb", False)
    outputs, inputs, kernel, _ = tensors.shape(f"{layer}.weight")
    up, down = modules.get(layer, "up_factor"), modules.get(layer, "down_factor")
    (up_taps,) = tensors.shape(f"{layer}.up_filter")
    filtered = tensors.shape(f"{layer}.down_filter")
    # Upstream pads with zeros before it filters; we filter first, and drop what is too much.
    before, after, *other = modules.get(layer, "padding")
    cropped = up_taps - 1 - before
    if other != [before, after] or after != up_taps - up - cropped or cropped < 0:
        raise CheckpointError(f"{layer}.padding is {[before, after, *other]}, which is not known")
    radial = len(filtered) == 2
    return LayerShape(inputs, outputs, kernel, up, up_taps, cropped, down, filtered[0], radial)


def _layer(
    tensors: PublishedTensors, layer: str, shape: LayerShape, style: int
) -> dict[str, Tensor]:
    """A `FilteredConvolution`'s weights."""
    kernel = tensors.take(
        f"{layer}.weight", shape.outputs, shape.inputs, shape.kernel, shape.kernel
    )
    kernel = kernel * kernel.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
    scales = dense(tensors, f"{layer}.affine", shape.inputs, style)
    up = tensors.take(f"{layer}.up_filter", shape.up_taps) * shape.up
    taps = (shape.down_taps,) * (2 if shape.radial else 1)
    down = tensors.take(f"{layer}.down_filter", *taps)
    return {
        "weight": kernel * _input_gain(tensors, layer),
        "energy": kernel.square().sum(dim=(2, 3)),
        "bias": tensors.take(f"{layer}.bias", shape.outputs),
        "up": up[:, None] * sqrt(ACTIVATION_GAIN),
        "down": down.flip(0, 1) if shape.radial else down.flip(0)[:, None],
        **{f"scales.{name}": tensor for name, tensor in scales.items()},
    }


def _input_gain(tensors: PublishedTensors, layer: str) -> Tensor:
    return tensors.take(f"{layer}.magnitude_ema").rsqrt()


def _waves(
    tensors: PublishedTensors, modules: PublishedModules, channels: int, style: int
) -> dict[str, Tensor]:
    """The Fourier features' weights, with the damping beyond the band folded in."""
    name = "synthesis.input"
    transform = tensors.take(f"{name}.transform", 3, 3)
    if not torch.equal(transform, torch.eye(3).double()):
        raise CheckpointError(f"{name}.transform moves the image; only the identity is known here")
    frequencies = tensors.take(f"{name}.freqs", channels, 2)
    rate, band = modules.get(name, "sampling_rate"), modules.get(name, "bandwidth")
    beyond = (frequencies.norm(dim=1) - band) / (rate / 2 - band)
    amplitude = (1 - beyond).clamp(0, 1)
    mixing = tensors.take(f"{name}.weight", channels, channels) * amplitude / sqrt(channels)
    side = _first_side(modules)
    placement = dense(tensors, f"{name}.affine", 4, style)
    return {
        "frequencies": frequencies,
        "phases": tensors.take(f"{name}.phases", channels),
        "positions": (torch.arange(side, dtype=torch.float64) + 0.5 - side / 2) / rate,
        "weight": mixing,
        **{f"placement.{key}": tensor for key, tensor in placement.items()},
    }


def _first_side(modules: PublishedModules) -> int:
    width, height = modules.get("synthesis.input", "size")
    if width != height:
        raise CheckpointError(f"synthesis.input.size is {width} x {height}; only squares are known")
    side: int = width
    return side


def _pixels(
    tensors: PublishedTensors, layer: str, shape: Shape, style: int, scale: float
) -> dict[str, Tensor]:
    """The last layer's weights, with the published scale of images folded in."""
    colours, inputs = shape[:2]
    gain = _input_gain(tensors, layer) / sqrt(inputs) * scale
    scales = dense(tensors, f"{layer}.affine", inputs, style)
    return {
        "weight": tensors.take(f"{layer}.weight", colours, inputs, 1, 1) * gain,
        "bias": tensors.take(f"{layer}.bias", colours) * scale,
        **{f"scales.{name}": tensor for name, tensor in scales.items()},
    }


def _clamps(modules: PublishedModules, layers: list[str], scale: float) -> dict[str, float | None]:
    """What bounds the layers, which must be one number, and the pixels."""
    last = modules.get(layers[-1], "conv_clamp")
    for layer in layers[:-1]:
        modules.require(layer, "conv_clamp", last)
    return {
        "clamp": None if last is None else float(last),
        "pixel_clamp": None if last is None else last * scale,
    }


def _table(tensors: PublishedTensors, classes: int, width: int) -> dict[str, dict[str, Tensor]]:
    """StyleGAN-XL's classes: the embedding of a classifier, through a dense layer."""
    shape = tensors.shape("mapping.embed.weight")
    if not classes:
        tensors.skip("mapping.embed.weight")
        return {}
    rows = tensors.take("mapping.embed.weight", *shape)[:classes]
    layer = dense(tensors, "mapping.embed_proj", width, shape[-1])
    projected = rows @ layer["weight"].T + layer["bias"]
    return embedding(leaky_relu(projected, 0.2) * ACTIVATION_GAIN)


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, modules = checkpoint.shapes, PublishedModules(checkpoint.modules)
    tensors = PublishedTensors(checkpoint.tensors)
    tensors.shape("mapping.fc0.weight")
    tensors.shape("synthesis.input.freqs")
    names = _layer_names(shapes)
    averages = shapes.get("mapping.w_avg", (0,))
    table = _has_table(shapes)
    one_hot = (0, 0) if table else shapes.get("mapping.embed.weight", (0, 0))
    classes = (averages[0] if len(averages) == 2 else 0) if table else one_hot[1]
    width = shapes.get("mapping.embed_proj.weight", (0,))[0] if table else one_hot[0]
    mapping = mapping_arguments(shapes, width) | {"num_classes": classes}
    style = mapping["style_dim"]
    parts = mapping_layers(tensors, mapping, modules)
    parts |= _table(tensors, classes, width) if table else one_hot_embedding(tensors, mapping)
    scale = float(modules.get("synthesis", "output_scale"))
    side, layers = _first_side(modules), []
    for index, name in enumerate(names[:-1]):
        shape = _layer_shape(tensors, modules, name)
        parts[f"layers.{index}"] = _layer(tensors, name, shape, style)
        side = shape.side(side)
        layers.append(asdict(shape))
    parts["waves"] = _waves(tensors, modules, layers[0]["inputs"], style)
    last = tensors.shape(f"{names[-1]}.weight")
    modules.require(names[-1], "is_torgb", True)
    modules.require(names[-1], "padding", [0, 0, 0, 0])
    parts["pixels"] = _pixels(tensors, names[-1], last, style, scale)
    tensors.require_all()
    arguments = {
        **mapping,
        "image_shape": [last[0], side, side],
        "layers": layers,
        "first_side": _first_side(modules),
        **_clamps(modules, names, scale),
    }
    return Translation("stylegan3", arguments, nested(parts), _NOTES)


STYLEGAN3 = Family("StyleGAN3", _recognises_stylegan3, _translate)
STYLEGAN_XL = Family("StyleGAN-XL", _recognises_stylegan_xl, _translate)
