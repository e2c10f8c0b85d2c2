"""DCGAN of the PyTorch examples, and the DCGAN generator of the original WGAN.

Both are a bare state dict of one sequence, ``main``: transposed convolutions without bias, each but
the last followed by batch normalisation. The examples number its members; WGAN names them by their
channels, with colons, and with dots in files written before torch forbade those. A conditional
DCGAN has the same tensors: its classes are one-hot inputs after the latent, and only its user can
count them.
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
# A latent of another size may be one of these with classes beside it.
_USUAL_LATENTS = (64, 100, 128, 256, 512)
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
    inputs, *channels = [kernel[0] for kernel in kernels]
    classes = checkpoint.classes or 0
    latent_dim = inputs - classes
    if latent_dim < 1:
        raise CheckpointError(f"of its {inputs} inputs {classes} cannot be classes")
    colours = kernels[-1][1]
    first = _normalised(tensors, layers[0], inputs, channels[0])
    # On a single value a transposed convolution is a linear layer to 4x4.
    columns = first["weight"].movedim(0, -1).flatten(0, 2)
    parts = {
        "start": {
            "weight": columns[:, :latent_dim],
            "bias": first["bias"].repeat_interleave(16),
        }
    }
    if classes:
        parts["classes"] = {"weight": columns[:, latent_dim:].T}
    for index, layer in enumerate(layers[1:-1]):
        pair = channels[index : index + 2]
        parts[f"blocks.{index}"] = _normalised(tensors, layer, *pair)
    last = tensors.take(f"{layers[-1].convolution}.weight", channels[-1], colours, 4, 4)
    parts["pixels"] = {"weight": last, "bias": last.new_zeros(colours)}
    tensors.require_all()
    side = 4 << (len(layers) - 1)
    arguments = {
        "latent_dim": latent_dim,
        "num_classes": classes,
        "image_shape": [colours, side, side],
        "channels": channels,
        "rectified_start": True,
        "enlarging_output": True,
    }
    return Translation(
        "deep_convolutional",
        arguments,
        nested(parts),
        _NOTES,
        _assumptions(inputs, classes),
        _warnings(latent_dim, classes),
        assumed_range=(-1.0, 1.0),
    )


def _assumptions(inputs: int, classes: int) -> tuple[str, ...]:
    what = f"the last {classes} are one-hot classes" if classes else "none is a class"
    return (
        f"of the {inputs} inputs of the first layer {what}",
        "latents are N(0, I)",
        "black is -1 and white is 1, as in the training script (the network ends in tanh)",
    )


def _warnings(latent_dim: int, classes: int) -> tuple[str, ...]:
    """Where the latent is of no usual size: classes may be among its inputs, or fewer of them."""
    if latent_dim in _USUAL_LATENTS:
        return ()
    inputs = latent_dim + classes
    least = max((usual for usual in _USUAL_LATENTS if usual < inputs), default=None)
    usual = ", ".join(map(str, _USUAL_LATENTS))
    hint = (
        ""
        if least is None
        else f": if the generator is conditional, {inputs} may be {least} + {inputs - least}, a "
        f"latent with one-hot classes after it; then say 'classes: {inputs - least}' in the spec, "
        f"or --classes {inputs - least}"
    )
    return (f"a latent of {latent_dim} is not one of the usual sizes ({usual}){hint}",)


DCGAN = Family(
    "DCGAN of the PyTorch examples",
    lambda shapes: len(shapes.get("main.0.weight", ())) == 4 and "main.1.running_mean" in shapes,
    _translate,
    counts_classes=True,
)
WGAN = Family(
    "the DCGAN generator of the original WGAN",
    lambda shapes: bool(_named(shapes)),
    _translate,
)
