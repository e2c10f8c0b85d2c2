"""PyTorch-StudioGAN's BigGAN-Deep and ReACGAN-Deep, in both of its backbones.

`big_resnet_deep_legacy` has identities for shortcuts, as the paper has them,
`big_resnet_deep_studiogan` 1x1 convolutions. Blocks come in pairs, of which the second enlarges.
A file holds ``{"state_dict": ...}``.
"""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .folding import enlarged_convolution
from .residual import attention, convolution, nested
from .studiogan_layers import ATTENTION, STATISTICS, affine, batch_norm, layer_shape

_COLOURS = 3
# Where no block changes its channels, nothing but their number tells how they are paired.
_BLOCKS_AT_32 = 6


def _recognises(shapes: Mapping[str, Shape]) -> bool:
    layers = ("linear0", "blocks.0.0.conv2d4", "conv2d5")
    return all(layer_shape(shapes, layer) for layer in layers) and "shared.weight" in shapes


def _places(shapes: Mapping[str, Shape]) -> tuple[list[int], dict[int, int]]:
    """The blocks' places in the list of all, and attention's by the block that follows it."""
    blocks, attentions = (
        sorted(int(found[1]) for name in shapes if (found := re.fullmatch(pattern, name)))
        for pattern in (r"blocks\.(\d+)\.0\.conv2d4\.bias", r"blocks\.(\d+)\.0\.sigma")
    )
    before = {sum(block < place for block in blocks): place for place in attentions}
    if not blocks or any(index >= len(blocks) for index in before):
        raise CheckpointError(
            "it has no blocks 'blocks.N.0.conv2d4', or has attention after the last one"
        )
    return blocks, before


def _channels(shapes: Mapping[str, Shape], blocks: list[int]) -> list[int]:
    """Of the 4x4 map and of every block's outputs."""
    first = layer_shape(shapes, f"blocks.{blocks[0]}.0.conv2d1") or (0, 0)
    last = [layer_shape(shapes, f"blocks.{place}.0.conv2d4") or (0,) for place in blocks]
    channels = [first[1], *(kernel[0] for kernel in last)]
    kept = [inputs == outputs for inputs, outputs in pairwise(channels)]
    if not all(kept[::2]) or len(kept) % 2 or (all(kept) and len(kept) != _BLOCKS_AT_32):
        raise CheckpointError(
            f"its {len(kept)} blocks are not pairs whose second block enlarges the image "
            f"(g_depth 2); they have {channels} channels"
        )
    return channels


class _Reader:
    """Reads blocks with the style that all of them share."""

    def __init__(self, tensors: PublishedTensors, latent: int, embedding: int) -> None:
        self.tensors = tensors
        self.style = latent + embedding
        # Published styles are the class's embedding, then the latent; ours are the other way round.
        self.order = torch.arange(self.style).roll(-embedding)

    def styled(self, layer: str, channels: int) -> dict[str, Tensor]:
        """A styled affine map's weights."""
        weights = affine(self.tensors, layer, channels, self.style)
        return weights | {"weight": weights["weight"][:, self.order]}

    def block(
        self, layer: str, inputs: int, outputs: int, enlarge: bool, convolved_shortcut: bool
    ) -> dict[str, Tensor]:
        """A `BottleneckBlock`'s weights."""
        middle = inputs // 4
        widths = (inputs, middle, middle, middle, outputs)
        parts: dict[str, dict[str, Tensor]] = {}
        for index, side in enumerate((1, 3, 3, 1)):
            name = f"{layer}.conv2d{index + 1}"
            parts[f"affines.{index}"] = self.styled(f"{layer}.bn{index + 1}", widths[index])
            own = convolution(self.tensors, name, widths[index + 1], widths[index], side)
            if enlarge and index == 1:
                own["weight"] = enlarged_convolution(own["weight"])
            parts[f"convolutions.{index}"] = own
        if convolved_shortcut:
            shortcut = convolution(self.tensors, f"{layer}.conv2d0", outputs, inputs, 1)
            parts["shortcut"] = shortcut
        return nested(parts)


def _arguments(shapes: Mapping[str, Shape], blocks: list[int], before: list[int]) -> dict[str, Any]:
    classes, embedding = shapes["shared.weight"]
    style = (layer_shape(shapes, "linear0") or (0, 0))[1]
    side = 4 << (len(blocks) // 2)
    return {
        "latent_dim": style - embedding,
        "num_classes": classes,
        "image_shape": [_COLOURS, side, side],
        "channels": _channels(shapes, blocks),
        "enlarging": [index % 2 == 1 for index in range(len(blocks))],
        "attention_before": before,
        "truncation": None,
        "convolved_shortcuts": layer_shape(shapes, "blocks.0.0.conv2d0") is not None,
    }


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, tensors = checkpoint.shapes, PublishedTensors(checkpoint.tensors)
    blocks, places = _places(shapes)
    arguments = _arguments(shapes, blocks, sorted(places))
    channels, latent = arguments["channels"], arguments["latent_dim"]
    table = tensors.take("shared.weight", *tensors.shape("shared.weight"))
    if table.shape[1] != latent:
        raise CheckpointError(
            f"its class embedding has {table.shape[1]} values and its latent {latent}; only "
            "equal sizes are supported"
        )
    reader = _Reader(tensors, latent, latent)
    start = tensors.weight("linear0", channels[0] * 16, reader.style)
    parts = {
        "start": {
            "weight": start[:, reader.order],
            "bias": tensors.take("linear0.bias", channels[0] * 16),
        },
        "embedding": {"weight": table},
        "last_affine": batch_norm(tensors, "bn4", channels[-1]),
        "pixels": convolution(tensors, "conv2d5", _COLOURS, channels[-1], 3),
    }
    for index, (place, enlarge) in enumerate(zip(blocks, arguments["enlarging"], strict=True)):
        pair = channels[index : index + 2]
        parts[f"blocks.{index}"] = reader.block(
            f"blocks.{place}.0", pair[0], pair[1], enlarge, arguments["convolved_shortcuts"]
        )
    for index, place in places.items():
        layer = f"blocks.{place}.0"
        layers = {part: f"{layer}.{theirs}" for part, theirs in ATTENTION.items()}
        gain = tensors.take(f"{layer}.sigma", 1)
        parts[f"attention.{index}"] = attention(tensors, layers, channels[index], gain)
    tensors.require_all()
    return Translation("biggan_deep", arguments, nested(parts), (STATISTICS,))


BIGGAN_DEEP = Family(
    "StudioGAN's BigGAN-Deep and ReACGAN-Deep, with identities or convolutions as shortcuts",
    _recognises,
    _translate,
)
