"""What the residual families share: their blocks' and their attention's weights, as ours."""

from collections.abc import Mapping

from torch import Tensor

from .checkpoint import PublishedTensors
from .folding import enlarged_convolution


def convolution(
    tensors: PublishedTensors, layer: str, outputs: int, inputs: int, side: int
) -> dict[str, Tensor]:
    """A square convolution's weight and bias."""
    weight = tensors.weight(layer, outputs, inputs, side, side)
    return {"weight": weight, "bias": tensors.take(f"{layer}.bias", outputs)}


def residual_block(
    tensors: PublishedTensors,
    layers: Mapping[str, str],
    affines: Mapping[str, Mapping[str, Tensor]],
    inputs: int,
    outputs: int,
) -> dict[str, Tensor]:
    """A `ResidualBlock`'s weights.

    ``layers`` are the published names of its ``enlarge``, ``refine`` and ``shortcut``; ``affines``
    the weights of its ``first_affine`` and ``second_affine``.
    """
    parts: dict[str, Mapping[str, Tensor]] = dict(affines)
    enlarge = convolution(tensors, layers["enlarge"], outputs, inputs, 3)
    parts["enlarge"] = enlarge | {"weight": enlarged_convolution(enlarge["weight"])}
    parts["refine"] = convolution(tensors, layers["refine"], outputs, outputs, 3)
    parts["shortcut"] = convolution(tensors, layers["shortcut"], outputs, inputs, 1)
    return nested(parts)


def attention(
    tensors: PublishedTensors, layers: Mapping[str, str], channels: int, gain: Tensor
) -> dict[str, Tensor]:
    """A `SelfAttention`'s weights; ``layers`` are the published names of its four maps."""
    shapes = {
        "query": (channels // 8, channels),
        "key": (channels // 8, channels),
        "value": (channels // 2, channels),
        "output": (channels, channels // 2),
    }
    weights = {
        f"{part}.weight": tensors.weight(layers[part], *shape, 1, 1)
        for part, shape in shapes.items()
    }
    return weights | {"output.weight": weights["output.weight"] * gain}


def nested(parts: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The parts' weights with the name of their part in front."""
    return {f"{part}.{name}": tensor for part, own in parts.items() for name, tensor in own.items()}
