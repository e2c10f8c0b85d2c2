"""R3GAN: a pickle with the averaged generator ``G_ema``, or its state dict.

The pickled modules are plain ones, ``training.networks.Generator`` around
``R3GAN.Networks.Generator`` (``BaselineGAN`` before its release), known here by their names'
structure. A stage computes in the ``DataType`` of its pickled module, which no tensor tells.
"""

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .residual import nested

_START = "MainLayers.0.Layers.0"
_PIXELS = "AggregationLayer.Layer.weight"
_WRAPPER = "Model."
_NOTES = ("images may leave [0, 1]: nothing is clipped",)
_SINGLE = "torch.float32"
_ASSUMPTIONS = (
    "latents are N(0, I)",
    "black is -1 and white is 1, as in training",
)


def _root(shapes: Mapping[str, Shape]) -> str:
    """What stands before every name: the wrapper that training puts around the network."""
    return _WRAPPER if f"{_WRAPPER}{_PIXELS}" in shapes else ""


def _recognises(shapes: Mapping[str, Shape]) -> bool:
    root = _root(shapes)
    return f"{root}{_START}.Basis" in shapes and f"{root}{_PIXELS}" in shapes


def _count(shapes: Mapping[str, Shape], pattern: str) -> int:
    """How many numbers the group of a pattern has among the names."""
    return len({found[1] for name in shapes if (found := re.match(pattern, name))})


def _arguments(tensors: PublishedTensors, shapes: Mapping[str, Shape], root: str) -> dict[str, Any]:
    """What our architecture is built with.

    Raises:
        CheckpointError: without a stage's first block nothing can be said.
    """
    stages = [
        f"{root}MainLayers.{stage}.Layers"
        for stage in range(_count(shapes, rf"{re.escape(root)}MainLayers\.(\d+)\."))
    ]
    widened = [tensors.shape(f"{stage}.1.LinearLayer1.Layer.weight") for stage in stages]
    grouped = [tensors.shape(f"{stage}.1.LinearLayer2.Layer.weight") for stage in stages]
    inner, channels = zip(*(shape[:2] for shape in widened), strict=True)
    embedding_dim, classes = shapes.get(f"{root}EmbeddingLayer.weight", (0, 0))
    side = 4 << (len(stages) - 1)
    return {
        "latent_dim": tensors.shape(f"{root}{_START}.LinearLayer.weight")[1] - embedding_dim,
        "num_classes": classes,
        "image_shape": [tensors.shape(f"{root}{_PIXELS}")[0], side, side],
        "embedding_dim": embedding_dim,
        "channels": list(channels),
        "inner": list(inner),
        "groups": [shape[0] // shape[1] for shape in grouped],
        "blocks": [
            _count(shapes, rf"{re.escape(stage)}\.(\d+)\.LinearLayer1\.") for stage in stages
        ],
        "kernel": grouped[0][-1],
    }


def _block(
    tensors: PublishedTensors, layer: str, arguments: Mapping[str, Any], stage: int
) -> dict[str, Tensor]:
    """A `GroupedBlock`'s weights."""
    channels, inner = arguments["channels"][stage], arguments["inner"][stage]
    kernel = arguments["kernel"]
    shared = inner // arguments["groups"][stage]
    linear = [f"{layer}.LinearLayer{number}.Layer.weight" for number in (1, 2, 3)]
    return {
        "widen.weight": tensors.take(linear[0], inner, channels, 1, 1),
        "widen.bias": tensors.take(f"{layer}.NonLinearity1.Bias", inner),
        "grouped.weight": tensors.take(linear[1], inner, shared, kernel, kernel),
        "grouped.bias": tensors.take(f"{layer}.NonLinearity2.Bias", inner),
        "narrow.weight": tensors.take(linear[2], channels, inner, 1, 1),
    }


def _require_filter(tensors: PublishedTensors, name: str) -> None:
    """[1, 2, 1] convolved with [1, 1], along both axes."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=torch.float64) / 8
    found = tensors.take(name, 4, 4)
    if name in tensors and not torch.allclose(found, taps.outer(taps)):
        raise CheckpointError(f"{name} is not the filter [1, 3, 3, 1]")


def _precision(
    modules: Mapping[str, Mapping[str, Any]], root: str, stages: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """A note on the stages that upstream computes in less precision; or what is assumed."""
    found = [
        modules.get(f"{root}MainLayers.{stage}", {}).get("DataType") for stage in range(stages)
    ]
    if None in found:
        return (), (
            "every stage is computed in float32; a state dict does not say which of them upstream "
            "computes in bfloat16",
        )
    reduced = {4 << stage: kind for stage, kind in enumerate(found) if kind != _SINGLE}
    if not reduced:
        return (), ()
    kinds = ", ".join(sorted({str(kind).removeprefix("torch.") for kind in reduced.values()}))
    sides = ", ".join(f"{side}x{side}" for side in reduced)
    return (f"float32 throughout; upstream computes the stages at {sides} in {kinds}",), ()


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, tensors = checkpoint.shapes, PublishedTensors(checkpoint.tensors)
    root = _root(shapes)
    arguments = _arguments(tensors, shapes, root)
    channels, embedding_dim = arguments["channels"], arguments["embedding_dim"]
    start = f"{root}{_START}"
    inputs = arguments["latent_dim"] + embedding_dim
    parts: dict[str, dict[str, Tensor]] = {
        "scales": {"weight": tensors.take(f"{start}.LinearLayer.weight", channels[0], inputs)},
        "pixels": {
            "weight": tensors.take(
                f"{root}{_PIXELS}", arguments["image_shape"][0], channels[-1], 1, 1
            )
        },
    }
    if arguments["num_classes"]:
        name = f"{root}EmbeddingLayer.weight"
        table = tensors.take(name, embedding_dim, arguments["num_classes"])
        parts["embedding"] = {"weight": table.T}
    for stage, (width, blocks) in enumerate(zip(channels, arguments["blocks"], strict=True)):
        layers = f"{root}MainLayers.{stage}.Layers"
        if stage:
            _require_filter(tensors, f"{layers}.0.Resampler.Kernel")
            if width != channels[stage - 1]:
                name = f"{layers}.0.LinearLayer.Layer.weight"
                kernel = tensors.take(name, width, channels[stage - 1], 1, 1)
                parts[f"widths.{stage}"] = {"weight": kernel}
        for block in range(blocks):
            own = _block(tensors, f"{layers}.{block + 1}", arguments, stage)
            parts[f"stages.{stage}.{block}"] = own
    basis = tensors.take(f"{start}.Basis", channels[0], 4, 4)
    tensors.require_all()
    reduced, assumed = _precision(checkpoint.modules, root, len(channels))
    weights = {"basis": basis, **nested(parts)}
    return Translation("r3gan", arguments, weights, _NOTES + reduced, _ASSUMPTIONS + assumed)


R3GAN = Family("R3GAN", _recognises, _translate, reads_modules=True)
