"""StyleGAN3 and StyleGAN-XL: a pickle with the averaged generator ``G_ema``, its layers' settings.

How a layer samples cannot be seen in its tensors: factors, padding and bounds are attributes of the
pickled layers. StyleGAN-XL's super-resolution stages add layers to those of their stem in one
sequence, so that a stage's file holds the whole network.
"""

import re
from collections.abc import Mapping
from dataclasses import asdict
from math import sqrt
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu

from ..stylegan3 import LayerSettings
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
    style_scales,
    styled_pixels,
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


def layer_names(shapes: Mapping[str, Shape]) -> list[str]:
    """The layers in their order, which their names begin with; the last one makes pixels."""
    found = {
        int(match[2]): match[1]
        for match in (re.match(r"(synthesis\.L(\d+)_[^.]+)\.weight$", name) for name in shapes)
        if match
    }
    if len(found) < 2:
        raise CheckpointError("it has no layers named synthesis.L0_..., synthesis.L1_..., ...")
    return [found[index] for index in sorted(found)]


def _layer_settings(
    tensors: PublishedTensors, modules: PublishedModules, layer: str
) -> LayerSettings:
    """The sizes of a layer and how it samples, by its tensors and attributes."""
    modules.require(layer, "is_torgb", False)
    outputs, inputs, kernel, _ = tensors.shape(f"{layer}.weight")
    up, down = modules.get(layer, "up_factor"), modules.get(layer, "down_factor")
    (up_taps,) = tensors.shape(f"{layer}.up_filter")
    filtered = tensors.shape(f"{layer}.down_filter")
    # Upstream pads with zeros before it filters; we filter first, and drop what is too much.
    before, after, *other = modules.get(layer, "padding")
    cropped = up_taps - 1 - before
    if other != [before, after] or after != up_taps - up - cropped or cropped < 0:
        raise CheckpointError(
            f"{layer}.padding is {[before, after, *other]}, which is not supported"
        )
    return LayerSettings(
        inputs=inputs,
        outputs=outputs,
        kernel=kernel,
        up=up,
        up_taps=up_taps,
        cropped=cropped,
        down=down,
        down_taps=filtered[0],
        radial=len(filtered) == 2,
        clamp=_clamp(modules, layer),
    )


def _layer(
    tensors: PublishedTensors, layer: str, settings: LayerSettings, style: int
) -> dict[str, Tensor]:
    """A `FilteredConvolution`'s weights."""
    kernel = tensors.take(
        f"{layer}.weight", settings.outputs, settings.inputs, settings.kernel, settings.kernel
    )
    kernel = kernel * kernel.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
    up = tensors.take(f"{layer}.up_filter", settings.up_taps) * settings.up
    taps = (settings.down_taps,) * (2 if settings.radial else 1)
    down = tensors.take(f"{layer}.down_filter", *taps)
    return {
        "weight": kernel * _input_gain(tensors, layer),
        "energy": kernel.square().sum(dim=(2, 3)),
        "bias": tensors.take(f"{layer}.bias", settings.outputs),
        "up": up[:, None] * sqrt(ACTIVATION_GAIN),
        "down": down.flip(0, 1) if settings.radial else down.flip(0)[:, None],
        **style_scales(tensors, layer, settings.inputs, style),
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
        raise CheckpointError(f"{name}.transform moves the image; only the identity is supported")
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
        raise CheckpointError(
            f"synthesis.input.size is {width} x {height}; only squares are supported"
        )
    side: int = width
    return side


def _pixels(
    tensors: PublishedTensors, layer: str, shape: Shape, style: int, scale: float
) -> dict[str, Tensor]:
    """The last layer's weights, with the published scale of images folded in."""
    colours, inputs = shape[:2]
    gain = _input_gain(tensors, layer) / sqrt(inputs) * scale
    return styled_pixels(tensors, layer, (inputs, colours), style, gain, scale)


def _clamp(modules: PublishedModules, layer: str, scale: float = 1.0) -> float | None:
    clamp = modules.get(layer, "conv_clamp")
    return None if clamp is None else clamp * scale


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


def _mapping(
    tensors: PublishedTensors, shapes: Mapping[str, Shape], modules: PublishedModules
) -> tuple[dict[str, Any], dict[str, dict[str, Tensor]]]:
    """The mapping's arguments and weights, by either family's kind of classes."""
    if not _has_table(shapes):
        width, classes = shapes.get("mapping.embed.weight", (0, 0))
        arguments = mapping_arguments(shapes, width) | {"num_classes": classes}
        embedded = one_hot_embedding(tensors, arguments)
    else:
        width = shapes.get("mapping.embed_proj.weight", (0,))[0]
        # There is an average style for every class, or one.
        averages = tensors.shape("mapping.w_avg")
        classes = averages[0] if len(averages) == 2 else 0
        arguments = mapping_arguments(shapes, width) | {"num_classes": classes}
        embedded = _table(tensors, classes, width)
    return arguments, mapping_layers(tensors, arguments, modules) | embedded


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, modules = checkpoint.shapes, PublishedModules(checkpoint.modules)
    tensors = PublishedTensors(checkpoint.tensors)
    tensors.shape("mapping.fc0.weight")
    tensors.shape("synthesis.input.freqs")
    *names, last = layer_names(shapes)
    mapping, parts = _mapping(tensors, shapes, modules)
    style, side = mapping["style_dim"], _first_side(modules)
    layers = [_layer_settings(tensors, modules, name) for name in names]
    parts["waves"] = _waves(tensors, modules, layers[0].inputs, style)
    for index, (name, settings) in enumerate(zip(names, layers, strict=True)):
        parts[f"layers.{index}"] = _layer(tensors, name, settings, style)
        side = settings.side(side)
    modules.require(last, "is_torgb", True)
    modules.require(last, "padding", [0, 0, 0, 0])
    scale = float(modules.get("synthesis", "output_scale"))
    pixels = tensors.shape(f"{last}.weight")
    parts["pixels"] = _pixels(tensors, last, pixels, style, scale)
    tensors.require_all()
    arguments = {
        **mapping,
        "image_shape": [pixels[0], side, side],
        "layers": [asdict(settings) for settings in layers],
        "first_side": _first_side(modules),
        "pixel_clamp": _clamp(modules, last, scale),
    }
    return Translation("stylegan3", arguments, nested(parts), _NOTES)


STYLEGAN3 = Family("StyleGAN3", _recognises_stylegan3, _translate, reads_modules=True)
STYLEGAN_XL = Family("StyleGAN-XL", _recognises_stylegan_xl, _translate, reads_modules=True)
