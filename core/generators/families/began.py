"""BEGAN in PyTorch, as the best known public implementation trains it.

A bare state dict: ``fc``, and one sequence ``conv`` whose members are numbered together with their
activations and enlargements.
"""

import re
from collections.abc import Mapping

from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .folding import enlarged_convolution
from .residual import convolution, nested

_COARSEST = 8
_NOTES = (
    "black is 0 and white is 1, as in training; the network does not bound its images, and they "
    "are not clipped",
)


def _numbers(shapes: Mapping[str, Shape]) -> list[int]:
    """The convolutions' numbers in the sequence."""
    return sorted(
        int(found[1])
        for name, shape in shapes.items()
        if (found := re.fullmatch(r"conv\.(\d+)\.weight", name)) and len(shape) == 4
    )


def _recognises(shapes: Mapping[str, Shape]) -> bool:
    return len(shapes.get("fc.weight", ())) == 2 and 0 in _numbers(shapes)


def _expected(pairs: int) -> list[int]:
    """A convolution and its ELU take two numbers, the enlargement between two pairs one."""
    return [number for pair in range(pairs) for number in (5 * pair, 5 * pair + 2)] + [
        5 * pairs - 1
    ]


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, tensors = checkpoint.shapes, PublishedTensors(checkpoint.tensors)
    numbers = _numbers(shapes)
    pairs = len(numbers) // 2
    if not pairs or numbers != _expected(pairs):
        raise CheckpointError(
            f"its convolutions in 'conv' have the numbers {numbers}, expected "
            f"{_expected(max(pairs, 1))}"
        )
    latent_dim = tensors.shape("fc.weight")[1]
    channels, colours = shapes["conv.0.weight"][0], shapes[f"conv.{numbers[-1]}.weight"][0]
    parts: dict[str, dict[str, Tensor]] = {
        "start": {
            "weight": tensors.take("fc.weight", channels * _COARSEST**2, latent_dim),
            "bias": tensors.take("fc.bias", channels * _COARSEST**2),
        },
        "pixels": convolution(tensors, f"conv.{numbers[-1]}", colours, channels, 3),
    }
    for index, number in enumerate(numbers[:-1]):
        own = convolution(tensors, f"conv.{number}", channels, channels, 3)
        if index and index % 2 == 0:
            own["weight"] = enlarged_convolution(own["weight"])
        parts[f"convolutions.{index}"] = own
    tensors.require_all()
    side = _COARSEST << (pairs - 1)
    arguments = {
        "latent_dim": latent_dim,
        "num_classes": 0,
        "image_shape": [colours, side, side],
        "channels": channels,
    }
    return Translation("began", arguments, nested(parts), _NOTES)


BEGAN = Family("BEGAN in PyTorch", _recognises, _translate)
