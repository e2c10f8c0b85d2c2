"""PyTorch-StudioGAN: its residual backbones and its deep convolutional one.

BigGAN, ReACGAN, ContraGAN, ICRGAN, MHGAN and the DiffAug variants train one generator (the
`big_resnet` backbone) with different losses; WGAN-GP, -WC and -DRA, SNGAN and others train the
smaller `resnet`; DCGAN, LSGAN and others `deep_conv`. A file holds ``{"state_dict": ...}``.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from .checkpoint import (
    Checkpoint,
    CheckpointError,
    Family,
    PublishedTensors,
    Shape,
    Translation,
)
from .folding import after_transposed
from .residual import attention, convolution, nested, residual_block
from .studiogan_layers import ATTENTION, STATISTICS, affine, batch_norm, layer_shape

_BLOCK = {"enlarge": "conv2d1", "refine": "conv2d2", "shortcut": "conv2d0"}


def _is_residual(shapes: Mapping[str, Shape]) -> bool:
    layers = ("linear0", "blocks.0.0.conv2d0", "conv2d5")
    deep = layer_shape(shapes, "blocks.0.0.conv2d4") is not None
    return not deep and all(layer_shape(shapes, layer) for layer in layers)


def _style_dim(shapes: Mapping[str, Shape]) -> int:
    """How long the vector is that styles a block; 0 without one."""
    gain = layer_shape(shapes, "blocks.0.0.bn1.gain")
    return gain[-1] if gain else 0


def _is_hierarchical(shapes: Mapping[str, Shape]) -> bool:
    """Whether blocks are styled by a chunk of the latent, as long as the first layer's."""
    first = layer_shape(shapes, "linear0") or (0,)
    _, embedding = shapes.get("shared.weight", (0, 0))
    return _style_dim(shapes) == embedding + first[-1]


def _blocks(shapes: Mapping[str, Shape]) -> tuple[list[int], dict[int, int]]:
    """The residual blocks' places in the list of all, and attention's by the block it follows."""
    blocks, attention = (
        sorted(int(found[1]) for name in shapes if (found := re.fullmatch(pattern, name)))
        for pattern in (r"blocks\.(\d+)\.0\.conv2d0\.bias", r"blocks\.(\d+)\.0\.sigma")
    )
    after = {sum(block < place for block in blocks) - 1: place for place in attention}
    if not blocks or any(index < 0 for index in after):
        raise CheckpointError("it has no consecutive blocks 'blocks.N.0.conv2d0'")
    return blocks, after


def _block(
    tensors: PublishedTensors, layer: str, inputs: int, outputs: int, style: int
) -> dict[str, Tensor]:
    affines = {
        "first_affine": affine(tensors, f"{layer}.bn1", inputs, style),
        "second_affine": affine(tensors, f"{layer}.bn2", outputs, style),
    }
    layers = {part: f"{layer}.{theirs}" for part, theirs in _BLOCK.items()}
    return residual_block(tensors, layers, affines, inputs, outputs)


def _residual_arguments(
    shapes: Mapping[str, Shape], blocks: list[int], attention_after: list[int]
) -> dict[str, Any]:
    kernels = [layer_shape(shapes, f"blocks.{place}.0.conv2d1") or (0, 0) for place in blocks]
    first = (layer_shape(shapes, "linear0") or (0,))[-1]
    classes, embedding = shapes.get("shared.weight", (0, 0))
    hierarchical = _is_hierarchical(shapes)
    side = 4 << len(blocks)
    return {
        "latent_dim": first * (len(blocks) + 1) if hierarchical else first,
        "num_classes": classes if hierarchical else _style_dim(shapes),
        "image_shape": [3, side, side],
        "channels": [*(kernel[1] for kernel in kernels), kernels[-1][0]],
        "hierarchical": hierarchical,
        "embedding_dim": embedding,
        "attention_after": attention_after,
    }


def _translate_residual(checkpoint: Checkpoint) -> Translation:
    tensors = PublishedTensors(checkpoint.tensors)
    blocks, places = _blocks(checkpoint.shapes)
    arguments = _residual_arguments(checkpoint.shapes, blocks, sorted(places))
    channels, style = arguments["channels"], _style_dim(checkpoint.shapes)
    chunk = arguments["latent_dim"] // (len(blocks) + 1 if arguments["hierarchical"] else 1)
    parts = {
        "start": {
            "weight": tensors.weight("linear0", channels[0] * 16, chunk),
            "bias": tensors.take("linear0.bias", channels[0] * 16),
        },
        "pixels": convolution(tensors, "conv2d5", 3, channels[-1], 3),
        "last_affine": batch_norm(tensors, "bn4", channels[-1]),
    }
    if arguments["embedding_dim"]:
        table = arguments["num_classes"], arguments["embedding_dim"]
        parts["embedding"] = {"weight": tensors.take("shared.weight", *table)}
    for index, place in enumerate(blocks):
        inputs, outputs = channels[index : index + 2]
        parts[f"blocks.{index}"] = _block(tensors, f"blocks.{place}.0", inputs, outputs, style)
    for index, place in places.items():
        layer = f"blocks.{place}.0"
        layers = {part: f"{layer}.{theirs}" for part, theirs in ATTENTION.items()}
        gain = tensors.take(f"{layer}.sigma", 1)
        parts[f"attention.{index}"] = attention(tensors, layers, channels[index + 1], gain)
    tensors.require_all()
    return Translation("residual", arguments, nested(parts), (STATISTICS,))


def _translate_deep_convolutional(checkpoint: Checkpoint) -> Translation:
    tensors = PublishedTensors(checkpoint.tensors)
    shapes = checkpoint.shapes
    latent_dim = (layer_shape(shapes, "linear0") or (0,))[-1]
    blocks = sum(name.endswith(".0.deconv0.bias") for name in shapes)
    layers = [f"blocks.{place}.0" for place in range(blocks)]
    kernels = [layer_shape(shapes, f"{layer}.deconv0") or (0, 0) for layer in layers]
    if not blocks:
        raise CheckpointError("it has no blocks 'blocks.N.0.deconv0'")
    channels = [*(kernel[0] for kernel in kernels), kernels[-1][1]]
    parts = {
        "start": {
            "weight": tensors.weight("linear0", channels[0] * 16, latent_dim),
            "bias": tensors.take("linear0.bias", channels[0] * 16),
        },
        "pixels": convolution(tensors, "conv4", 3, channels[-1], 3),
    }
    for index, layer in enumerate(layers):
        inputs, outputs = channels[index : index + 2]
        kernel = tensors.weight(f"{layer}.deconv0", inputs, outputs, 4, 4, output_dim=1)
        normalisation = batch_norm(tensors, f"{layer}.bn0", outputs)["bias"]
        bias = tensors.take(f"{layer}.deconv0.bias", outputs)
        parts[f"blocks.{index}"] = after_transposed(kernel, bias, normalisation)
    tensors.require_all()
    side = 4 << blocks
    arguments = {
        "latent_dim": latent_dim,
        "num_classes": 0,
        "image_shape": [3, side, side],
        "channels": channels,
        "rectified_start": False,
        "enlarging_output": False,
    }
    return Translation("deep_convolutional", arguments, nested(parts), (STATISTICS,))


BIGGAN = Family(
    "StudioGAN's BigGAN, ReACGAN, ContraGAN, ICRGAN, MHGAN and their DiffAug variants",
    lambda shapes: _is_residual(shapes) and _is_hierarchical(shapes),
    _translate_residual,
)
RESNET = Family(
    "StudioGAN's ResNet generator: WGAN-GP, WGAN-WC, WGAN-DRA, SNGAN and others",
    lambda shapes: _is_residual(shapes) and not _is_hierarchical(shapes),
    _translate_residual,
)
DEEP_CONVOLUTIONAL = Family(
    "StudioGAN's deep convolutional generator: DCGAN, LSGAN, GGAN and others",
    lambda shapes: "blocks.0.0.deconv0.bias" in shapes and "conv4.bias" in shapes,
    _translate_deep_convolutional,
)
