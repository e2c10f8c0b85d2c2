"""What the StyleGANs' files share, mapping and styled layers, with published gains folded in.

Gains that keep every layer's learning rate equal are part of the published network, not of its
weights, and so is the gain sqrt(2) of every leaky ReLU.
"""

import re
from collections.abc import Mapping
from math import sqrt
from typing import Any

from torch import Tensor

from .checkpoint import PublishedTensors, Shape
from .modules import PublishedModules

ACTIVATION_GAIN = sqrt(2)
# What the mapping's learning rate was divided by, in every published training.
MAPPING_RATE = 0.01
# Weights of the mapping begin with standard deviation 1 / MAPPING_RATE, and stay near it.
_LEAST_SPREAD = 10.0


def mapping_arguments(shapes: Mapping[str, Shape], embedding_dim: int) -> dict[str, Any]:
    """What a `Mapping` is built with, but for the number of classes."""
    layers = sum(bool(re.fullmatch(r"mapping\.fc\d+\.weight", name)) for name in shapes)
    first = shapes["mapping.fc0.weight"]
    return {
        "latent_dim": first[-1] - embedding_dim,
        "style_dim": shapes.get(f"mapping.fc{layers - 1}.weight", (0,))[0],
        "mapping_width": first[0],
        "mapping_layers": layers,
        "embedding_dim": embedding_dim,
    }


def dense(
    tensors: PublishedTensors, layer: str, outputs: int, inputs: int, rate: float = 1.0
) -> dict[str, Tensor]:
    """A dense layer with its gain, rate / sqrt(inputs), folded in."""
    weight = tensors.take(f"{layer}.weight", outputs, inputs) * (rate / sqrt(inputs))
    return {"weight": weight, "bias": tensors.take(f"{layer}.bias", outputs) * rate}


def style_scales(
    tensors: PublishedTensors, layer: str, inputs: int, style: int
) -> dict[str, Tensor]:
    """The dense layer that scales a styled layer's inputs."""
    scales = dense(tensors, f"{layer}.affine", inputs, style)
    return {f"scales.{name}": tensor for name, tensor in scales.items()}


def styled_pixels(
    tensors: PublishedTensors,
    layer: str,
    widths: tuple[int, int],
    style: int,
    gain: float | Tensor,
    scale: float = 1.0,
) -> dict[str, Tensor]:
    """A `StyledPixels`' weights: the kernel times ``gain``, the offset times ``scale``.

    ``widths`` are the inputs and the colours.
    """
    inputs, colours = widths
    return {
        "weight": tensors.take(f"{layer}.weight", colours, inputs, 1, 1) * gain,
        "bias": tensors.take(f"{layer}.bias", colours) * scale,
        **style_scales(tensors, layer, inputs, style),
    }


def mapping_layers(
    tensors: PublishedTensors, arguments: Mapping[str, Any], modules: PublishedModules
) -> dict[str, dict[str, Tensor]]:
    """The mapping's dense layers.

    Raises:
        CheckpointError: their activation is not known here.
    """
    modules.require("mapping.fc0", "activation", "lrelu")
    rate = float(modules.get("mapping.fc0", "bias_gain"))
    count = arguments["mapping_layers"]
    inputs = arguments["latent_dim"] + arguments["embedding_dim"]
    widths = [inputs, *[arguments["mapping_width"]] * (count - 1), arguments["style_dim"]]
    tensors.skip("mapping.w_avg")
    return {
        f"mapping.layers.{index}": {
            name: tensor * ACTIVATION_GAIN
            for name, tensor in dense(
                tensors, f"mapping.fc{index}", widths[index + 1], widths[index], rate
            ).items()
        }
        for index in range(count)
    }


def rate_warnings(first: Tensor) -> tuple[str, ...]:
    """Where the mapping's ``first`` weights look as if their learning rate was another one."""
    spread = first.double().std().item()
    if spread >= _LEAST_SPREAD:
        return ()
    return (
        f"the mapping's first weights have standard deviation {spread:.3g}, expected about "
        f"{1 / MAPPING_RATE:.0f} after training with the learning rate {MAPPING_RATE}: with "
        "another rate the images are wrong",
    )


def one_hot_embedding(
    tensors: PublishedTensors, arguments: Mapping[str, Any]
) -> dict[str, dict[str, Tensor]]:
    """The embedding of a conditional StyleGAN2 or StyleGAN3: a dense layer of one-hot classes."""
    classes = arguments["num_classes"]
    if not classes:
        return {}
    layer = dense(tensors, "mapping.embed", arguments["embedding_dim"], classes)
    return embedding(layer["weight"].T + layer["bias"])


def embedding(table: Tensor) -> dict[str, dict[str, Tensor]]:
    """A `Mapping`'s embedding: a row for every class, each normalised as latents are."""
    normal = table * (table.square().mean(dim=1, keepdim=True) + 1e-8).rsqrt()
    return {"mapping.embedding": {"weight": normal}}
