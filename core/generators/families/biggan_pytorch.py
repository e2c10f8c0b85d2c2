"""BigGAN-PyTorch, by an author of BigGAN, and the BigGAN of DiffAugment's CIFAR experiments.

A file is a bare state dict. Spectral normalisation is spelt ``u0`` and ``sv0``; whether the latent
is hierarchical, the class embedding shared and the weights normalised shows in the tensors.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .folding import constant_affine, styled_affine
from .residual import attention, convolution, nested, residual_block

_EPSILON = 1e-5
_NOTES = (
    "batch normalisation uses the stored statistics (evaluation mode); published scores of this "
    "family were often computed with each batch's own",
)
_BLOCK = {"enlarge": "conv1", "refine": "conv2", "shortcut": "conv_sc"}
_ATTENTION = {"query": "theta", "key": "phi", "value": "g", "output": "o"}


def _recognises(shapes: Mapping[str, Shape]) -> bool:
    expected = ("linear.weight", "blocks.0.0.conv_sc.weight", "output_layer.2.weight")
    return all(name in shapes for name in expected)


def _arguments(shapes: Mapping[str, Shape]) -> dict[str, Any]:
    count = len([name for name in shapes if re.fullmatch(r"blocks\.\d+\.0\.conv1\.weight", name)])
    kernels = [shapes.get(f"blocks.{index}.0.conv1.weight") for index in range(count)]
    present = [kernel for kernel in kernels if kernel and len(kernel) == 4]
    gain = shapes.get("blocks.0.0.bn1.gain.weight")
    if len(present) != count or gain is None or len(gain) != 2:
        raise CheckpointError("its blocks lack 'blocks.N.0.conv1.weight' or '...bn1.gain.weight'")
    first = shapes["linear.weight"][-1]
    classes, embedding = shapes.get("shared.weight", (gain[0], 0))
    hierarchical = bool(embedding) and gain[-1] == embedding + first
    side = 4 << count
    return {
        "latent_dim": first * (count + 1) if hierarchical else first,
        "num_classes": classes,
        "image_shape": [3, side, side],
        "channels": [*(kernel[1] for kernel in present), present[-1][0]],
        "hierarchical": hierarchical,
        "embedding_dim": embedding,
        "attention_after": [i for i in range(count) if f"blocks.{i}.1.gamma" in shapes],
    }


def _styled(
    tensors: PublishedTensors, layer: str, channels: int, arguments: dict[str, Any], style: int
) -> dict[str, Tensor]:
    mean = tensors.take(f"{layer}.stored_mean", channels)
    variance = tensors.take(f"{layer}.stored_var", channels)
    if arguments["embedding_dim"]:
        gain, shift = (tensors.weight(f"{layer}.{n}", channels, style) for n in ("gain", "bias"))
    else:
        # Without a shared embedding each class has its own row of gains: a weight of its one-hot.
        gain, shift = (
            tensors.take(f"{layer}.{name}.weight", style, channels).T for name in ("gain", "bias")
        )
    return styled_affine(mean, variance, gain, shift, _EPSILON)


def _block(
    tensors: PublishedTensors, index: int, arguments: dict[str, Any], style: int
) -> dict[str, Tensor]:
    inputs, outputs = arguments["channels"][index : index + 2]
    layer = f"blocks.{index}.0"
    affines = {
        "first_affine": _styled(tensors, f"{layer}.bn1", inputs, arguments, style),
        "second_affine": _styled(tensors, f"{layer}.bn2", outputs, arguments, style),
    }
    layers = {part: f"{layer}.{theirs}" for part, theirs in _BLOCK.items()}
    return residual_block(tensors, layers, affines, inputs, outputs)


def _translate(checkpoint: Checkpoint) -> Translation:
    tensors = PublishedTensors(checkpoint.tensors)
    chunk = tensors.shape("linear.weight")[-1]
    arguments = _arguments(checkpoint.shapes)
    channels, embedding = arguments["channels"], arguments["embedding_dim"]
    style = embedding or arguments["num_classes"]
    style += chunk if arguments["hierarchical"] else 0
    names = ("stored_mean", "stored_var", "gain", "bias")
    mean, variance, gain, shift = (
        tensors.take(f"output_layer.0.{name}", channels[-1]) for name in names
    )
    parts = {
        "start": {
            "weight": tensors.weight("linear", channels[0] * 16, chunk),
            "bias": tensors.take("linear.bias", channels[0] * 16),
        },
        "pixels": convolution(tensors, "output_layer.2", 3, channels[-1], 3),
        "last_affine": constant_affine(mean, variance, gain, shift, _EPSILON),
    }
    if embedding:
        table = arguments["num_classes"], embedding
        parts["embedding"] = {"weight": tensors.take("shared.weight", *table)}
    for index in range(len(channels) - 1):
        parts[f"blocks.{index}"] = _block(tensors, index, arguments, style)
    for index in arguments["attention_after"]:
        layer = f"blocks.{index}.1"
        layers = {part: f"{layer}.{theirs}" for part, theirs in _ATTENTION.items()}
        strength = tensors.take(f"{layer}.gamma")
        parts[f"attention.{index}"] = attention(tensors, layers, channels[index + 1], strength)
    tensors.require_all()
    return Translation("residual", arguments, nested(parts), _NOTES)


BIGGAN_PYTORCH = Family(
    "BigGAN-PyTorch, and the BigGAN of DiffAugment (CIFAR)", _recognises, _translate
)
