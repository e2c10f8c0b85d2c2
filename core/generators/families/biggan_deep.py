"""BigGAN-deep as Hugging Face published it for ImageNet at 128, 256 and 512 pixels.

A bare state dict with ``config.json`` beside it. Batch statistics are stored for 51 truncations;
between two of them upstream blends with the weights the wrong way round, and so does the file's
network here, because its images are what was published.
"""

from collections.abc import Mapping
from math import modf
from typing import Any

import torch
from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .folding import constant_affine, enlarged_convolution, styled_affine
from .residual import attention, convolution, nested

_ATTENTION = {
    "query": "snconv1x1_theta",
    "key": "snconv1x1_phi",
    "value": "snconv1x1_g",
    "output": "snconv1x1_o_conv",
}
_REQUIRED = ("layers", "channel_width", "z_dim", "num_classes", "attention_layer_position", "eps")
_COLOURS = 3


def _recognises(shapes: Mapping[str, Shape]) -> bool:
    return "embeddings.weight" in shapes and "generator.conv_to_rgb.bias" in shapes


def _settings(checkpoint: Checkpoint) -> Mapping[str, Any]:
    absent = [name for name in _REQUIRED if name not in checkpoint.settings]
    if absent:
        raise CheckpointError(
            "the config.json published with it must be in the same folder; it is missing, or "
            f"lacks {', '.join(absent)}"
        )
    return checkpoint.settings


class _Reader:
    """Reads parts of the network at one truncation, with the settings that all of them share."""

    def __init__(self, tensors: PublishedTensors, epsilon: float, truncation: float) -> None:
        self.tensors = tensors
        self._epsilon, self._truncation = epsilon, truncation

    def _statistics(self, layer: str, channels: int) -> tuple[Tensor, Tensor]:
        stored = self.tensors.shape(f"{layer}.running_means")[0]
        part, whole = modf(self._truncation / (1.0 / (stored - 1)))
        below = int(whole)
        means, variances = (
            self.tensors.take(f"{layer}.running_{name}", stored, channels)
            for name in ("means", "vars")
        )
        if not part:
            return means[below], variances[below]
        mean, variance = (
            table[below] * part + table[below + 1] * (1 - part) for table in (means, variances)
        )
        return mean, variance

    def styled(self, layer: str, channels: int, style: int) -> dict[str, Tensor]:
        """A styled affine map's weights."""
        mean, variance = self._statistics(layer, channels)
        gain, shift = (
            self.tensors.weight(f"{layer}.{name}", channels, style) for name in ("scale", "offset")
        )
        return styled_affine(mean, variance, gain, shift, self._epsilon)

    def constant(self, layer: str, channels: int) -> dict[str, Tensor]:
        """A constant affine map's weights."""
        mean, variance = self._statistics(layer, channels)
        gain, shift = (
            self.tensors.take(f"{layer}.{name}", channels) for name in ("weight", "bias")
        )
        return constant_affine(mean, variance, gain, shift, self._epsilon)

    def block(
        self, layer: str, inputs: int, outputs: int, style: int, enlarge: bool
    ) -> dict[str, Tensor]:
        """A `BottleneckBlock`'s weights."""
        middle = inputs // 4
        widths = (inputs, middle, middle, middle, outputs)
        parts = {}
        for index, side in enumerate((1, 3, 3, 1)):
            parts[f"affines.{index}"] = self.styled(f"{layer}.bn_{index}", widths[index], style)
            own = convolution(
                self.tensors, f"{layer}.conv_{index}", widths[index + 1], widths[index], side
            )
            if enlarge and index == 1:
                own["weight"] = enlarged_convolution(own["weight"])
            parts[f"convolutions.{index}"] = own
        return nested(parts)


def _arguments(settings: Mapping[str, Any], truncation: float) -> dict[str, Any]:
    layers, width = settings["layers"], settings["channel_width"]
    enlarging = [bool(enlarge) for enlarge, _, _ in layers]
    side = 4 << sum(enlarging)
    return {
        "latent_dim": settings["z_dim"],
        "num_classes": settings["num_classes"],
        "image_shape": [_COLOURS, side, side],
        "channels": [layers[0][1] * width, *(outputs * width for _, _, outputs in layers)],
        "enlarging": enlarging,
        "attention_before": [settings["attention_layer_position"]],
        "truncation": truncation,
        "convolved_shortcuts": False,
    }


def _start(tensors: PublishedTensors, channels: int, style: int) -> dict[str, Tensor]:
    """The first layer, whose outputs are published with the channels last."""
    weight = tensors.weight("generator.gen_z", 16 * channels, style)
    bias = tensors.take("generator.gen_z.bias", 16 * channels)
    order = torch.arange(16 * channels).view(16, channels).T.flatten()
    return {"weight": weight[order], "bias": bias[order]}


def _translate(checkpoint: Checkpoint) -> Translation:
    settings = _settings(checkpoint)
    truncation = float(checkpoint.truncation or 1)
    tensors = PublishedTensors(checkpoint.tensors)
    arguments = _arguments(settings, truncation)
    reader = _Reader(tensors, settings["eps"], truncation)
    channels, latent = arguments["channels"], arguments["latent_dim"]
    style, width = 2 * latent, channels[-1]
    # The last convolution makes as many maps as it takes; three of them are the image.
    rgb = convolution(tensors, "generator.conv_to_rgb", width, width, 3)
    table = tensors.take("embeddings.weight", latent, arguments["num_classes"])
    parts = {
        "start": _start(tensors, channels[0], style),
        "embedding": {"weight": table.T},
        "last_affine": reader.constant("generator.bn", width),
        "pixels": {name: tensor[:_COLOURS] for name, tensor in rgb.items()},
    }
    (place,) = arguments["attention_before"]
    for index, enlarge in enumerate(arguments["enlarging"]):
        layer = f"generator.layers.{index + (index >= place)}"
        inputs, outputs = channels[index : index + 2]
        parts[f"blocks.{index}"] = reader.block(layer, inputs, outputs, style, enlarge)
    layer = f"generator.layers.{place}"
    layers = {part: f"{layer}.{theirs}" for part, theirs in _ATTENTION.items()}
    gain = tensors.take(f"{layer}.gamma", 1)
    parts[f"attention.{place}"] = attention(tensors, layers, channels[place], gain)
    tensors.require_all()
    notes = (
        f"truncation {truncation:g}: latents are {truncation:g} times standard normal entries "
        "truncated to [-2, 2], as smooth functions of the N(0, I) latents in the tables",
        "batch normalisation uses the statistics stored for that truncation",
    )
    return Translation("biggan_deep", arguments, nested(parts), notes)


BIGGAN_DEEP = Family(
    "BigGAN-deep for ImageNet, as Hugging Face published it",
    _recognises,
    _translate,
    truncates=True,
    reads_config=True,
)
