"""DCGAN of the PyTorch examples, and the DCGAN generator of the original WGAN.

Both are a bare state dict of one sequence, ``main``: transposed convolutions without bias, each but
the last followed by batch normalisation. The examples number its members; WGAN names them by their
channels, with colons, and with dots in files written before torch forbade those.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .folding import affine_of_batch_norm
from .residual import nested

_EPSILON = 1e-5
_NOTES = ("batch normalisation uses the stored statistics (evaluation mode)",)
_WGAN = r"main\.(initial|pyramid|final)[:.](\d+)-(\d+)([:.])convt\.weight"


@dataclass(frozen=True)
class _Layer:
    convolution: str
    normalisation: str


def _numbered(shapes: Mapping[str, Shape]) -> list[_Layer]:
    """The examples' layers: a convolution, its normalisation and a ReLU each take a number."""
    numbers = sorted(
        int(found[1])
        for name, shape in shapes.items()
        if (found := re.fullmatch(r"main\.(\d+)\.weight", name)) and len(shape) == 4
    )
    return [_Layer(f"main.{number}", f"main.{number + 1}") for number in numbers]


def _named(shapes: Mapping[str, Shape]) -> list[_Layer]:
    """WGAN's layers, from the latent on: channels fall from one to the next."""
    found = [match for name in shapes if (match := re.fullmatch(_WGAN, name))]
    order = ("initial", "pyramid", "final")
    found.sort(key=lambda match: (order.index(match[1]), -int(match[2])))
    return [
        _Layer(
            match[0].removesuffix(".weight"),
            f"main.{match[1]}{match[4]}{match[3]}{match[4]}batchnorm",
        )
        for match in found
    ]


def _normalised(
    tensors: PublishedTensors, layer: _Layer, inputs: int, outputs: int
) -> dict[str, Tensor]:
    """A transposed convolution's weight and bias with its batch normalisation made part of them."""
    kernel = tensors.take(f"{layer.convolution}.weight", inputs, outputs, 4, 4)
    tensors.skip(f"{layer.normalisation}.num_batches_tracked")
    names = ("running_mean", "running_var", "weight", "bias")
    mean, variance, gain, shift = (
        tensors.take(f"{layer.normalisation}.{name}", outputs) for name in names
    )
    scale, offset = affine_of_batch_norm(mean, variance, gain, shift, _EPSILON)
    return {"weight": kernel * scale[:, None, None], "bias": offset}


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, tensors = checkpoint.shapes, PublishedTensors(checkpoint.tensors)
    layers = _named(shapes) or _numbered(shapes)
    if len(layers) < 2:
        raise CheckpointError("its sequence 'main' has fewer than two transposed convolutions")
    kernels = [shapes[f"{layer.convolution}.weight"] for layer in layers]
    widths = [kernel[0] for kernel in kernels]
    latent_dim, *channels = widths
    colours = kernels[-1][1]
    first = _normalised(tensors, layers[0], latent_dim, channels[0])
    parts = {
        # On a single value a transposed convolution is a linear layer to 4x4.
        "start": {
            "weight": first["weight"].movedim(0, -1).flatten(0, 2),
            "bias": first["bias"].repeat_interleave(16),
        }
    }
    for index, layer in enumerate(layers[1:-1]):
        pair = channels[index : index + 2]
        parts[f"blocks.{index}"] = _normalised(tensors, layer, *pair)
    last = tensors.take(f"{layers[-1].convolution}.weight", channels[-1], colours, 4, 4)
    parts["pixels"] = {"weight": last, "bias": last.new_zeros(colours)}
    tensors.require_all()
    side = 4 << (len(layers) - 1)
    arguments = {
        "latent_dim": latent_dim,
        "num_classes": 0,
        "image_shape": [colours, side, side],
        "channels": channels,
        "rectified_start": True,
        "enlarging_output": True,
    }
    return Translation("deep_convolutional", arguments, nested(parts), _NOTES)


DCGAN = Family(
    "DCGAN of the PyTorch examples",
    lambda shapes: len(shapes.get("main.0.weight", ())) == 4 and "main.1.running_mean" in shapes,
    _translate,
)
WGAN = Family(
    "the DCGAN generator of the original WGAN",
    lambda shapes: bool(_named(shapes)),
    _translate,
)
