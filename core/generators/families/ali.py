"""ALI (Dumoulin et al. 2017), as Blocks saves it: an .npz of parameters by their bricks' names.

The decoder's bricks bear random names, so that only the order in the archive tells the layers.
Blocks writes its graph's inputs as it meets them: normalisations from the pixels to the latent,
then kernels from the latent to the pixels. Files that were saved again, layer by layer (a kernel,
then its normalisation), are known too. Strides and leaks are in no file: they follow from the
kernels' sides, for the networks that the repository trains.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .residual import nested
from .transposed import STATISTICS_BATCH, Layer, Normalisation, batch, fold, linear

_EPSILON = 1e-4
_COARSEST = 4
_SCALE = "batch_norm_scale"
_NAME = re.compile(
    r"(.*\bdecoder_mapping[|/\-])(\w+)\."
    r"(W|b|batch_norm_scale|batch_norm_shift|population_mean|population_stdev)"
)
_ELSEWHERE = re.compile(r".*\b(encoder|discriminator|encoder_mapping)[|/\-]")


@dataclass(frozen=True)
class _Network:
    """What is in no file: the strides of the kernels, and the slope of the leaky rectifiers."""

    data: str
    strides: tuple[int, ...]
    leak: float


def _network(sides: tuple[int, ...], latent_dim: int) -> _Network:
    """The network that the repository trains with kernels of these sides.

    Raises:
        CheckpointError: it trains none.
    """
    if sides == (4, 4, 4, 4, 5, 1, 1):
        strides = (1, 2, 1, 2, 1, 1, 1)
        if latent_dim == 64:
            return _Network("CIFAR-10", strides, 0.1)
        return _Network("SVHN", strides, 0.01)
    if sides == (4, 7, 5, 7, 2, 1):
        return _Network("CelebA", (1, 2, 2, 2, 1, 1), 0.02)
    if sides == (1, 1, 4, 4, 4, 4, 4, 4, 1):
        return _Network("Tiny ImageNet", (1, 1, 1, 2, 1, 2, 1, 2, 1), 0.01)
    raise CheckpointError(
        f"its decoder's kernels have sides {sides}: this network is unknown here, and the file "
        "does not hold its strides"
    )


def _bricks(shapes: Mapping[str, Shape]) -> list[tuple[str, str]]:
    """The decoder's kernels and normalisations in the file's order: a brick, and which it is."""
    found = [match for name in shapes if (match := _NAME.fullmatch(name))]
    return [(f"{match[1]}{match[2]}", match[3]) for match in found if match[3] in ("W", _SCALE)]


def _ordered(shapes: Mapping[str, Shape]) -> tuple[list[str], list[str]]:
    """Kernels' and normalisations' bricks, both from the latent to the pixels.

    Raises:
        CheckpointError: the arrays are in another order than either of the two.
    """
    bricks = _bricks(shapes)
    names = [brick for brick, parameter in bricks if parameter == "W"]
    norms = [brick for brick, parameter in bricks if parameter == _SCALE]
    order = [parameter for _, parameter in bricks]
    as_written = order == [_SCALE] * len(norms) + ["W"] * (len(norms) + 1)
    if as_written:
        norms.reverse()
    kernels = [shapes[f"{name}.W"] for name in names]
    scales = [shapes[f"{name}.{_SCALE}"] for name in norms]
    fitting = (
        (as_written or order == [*["W", _SCALE] * len(norms), "W"])
        and all(len(kernel) == 4 and kernel[2] == kernel[3] for kernel in kernels)
        and all(
            before[0] == after[1] and scale == (before[0], 1, 1)
            for (before, after), scale in zip(pairwise(kernels), scales, strict=True)
        )
    )
    if not fitting:
        raise CheckpointError(
            "its decoder's arrays are neither in the order in which Blocks writes them (the "
            "normalisations from the pixels to the latent, then the kernels from the latent to "
            "the pixels) nor layer by layer. Bricks have random names, so only the order in the "
            "file identifies them, and Python before 3.6 loses it: save the parameters again, "
            "in order"
        )
    return names, norms


class _Reader:
    """Reads the decoder's layers."""

    def __init__(self, tensors: PublishedTensors) -> None:
        self._tensors = tensors

    def kernel(self, brick: str) -> Tensor:
        """A kernel [inputs, outputs, side, side] in torch's terms."""
        shape = self._tensors.shape(f"{brick}.W")
        return self._tensors.take(f"{brick}.W", *shape).transpose(0, 1).flip(2, 3)

    def layer(self, kernel: str, stride: int, brick: str) -> Layer:
        """A convolution with the batch normalisation that follows it."""
        weight = self.kernel(kernel)
        channels = weight.shape[1]

        def of(name: str) -> Tensor:
            return self._tensors.take(f"{brick}.{name}", channels, 1, 1).flatten()

        stored = f"{brick}.population_mean" in self._tensors
        norm = Normalisation(
            of("batch_norm_scale"),
            of("batch_norm_shift"),
            _EPSILON,
            of("population_mean") if stored else None,
            of("population_stdev") if stored else None,
        )
        return Layer(weight, stride, 0, 0, norm)


def _arguments(kernels: list[Shape], network: _Network) -> dict[str, Any]:
    side = 1
    for kernel, stride in zip(kernels, network.strides, strict=True):
        side = (side - 1) * stride + kernel[2]
    single = _single(kernels)
    rest = zip(kernels[single:], network.strides[single:], strict=True)
    return {
        "latent_dim": kernels[0][1],
        "num_classes": 0,
        "image_shape": [kernels[-1][0], side, side],
        "widths": [kernel[0] for kernel in kernels[:single]],
        "convolutions": [[kernel[0], kernel[2], stride, 0, 0] for kernel, stride in rest],
        "leak": network.leak,
        "uniform_latent": False,
    }


def _single(kernels: list[Shape]) -> int:
    """How many layers work on a single value: those up to the first that makes a map of it."""
    return [kernel[2] for kernel in kernels].index(_COARSEST) + 1


def _notes(network: _Network, stored: bool) -> tuple[str, str]:
    return (
        f"strides and leaky rectifiers ({network.leak}) are those of upstream's network for "
        f"{network.data}, recognised by its kernels' sides",
        "batch normalisation uses the stored population statistics"
        if stored
        else f"the file has no population statistics: batch statistics of {STATISTICS_BATCH} "
        "fixed latents are used, layer by layer",
    )


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, tensors = checkpoint.shapes, PublishedTensors(checkpoint.tensors)
    names, norms = _ordered(shapes)
    kernels = [shapes[f"{name}.W"] for name in names]
    network = _network(tuple(kernel[2] for kernel in kernels), kernels[0][1])
    arguments, reader = _arguments(kernels, network), _Reader(tensors)
    layers = [
        reader.layer(kernel, stride, brick)
        for kernel, stride, brick in zip(names, network.strides, norms, strict=False)
    ]
    # The image is sigmoid(x) = (tanh(x / 2) + 1) / 2.
    weights = {
        "pixels.weight": reader.kernel(names[-1]) / 2,
        "offset": tensors.take(f"{names[-1]}.b", *arguments["image_shape"]) / 2,
    }
    for name in shapes:
        if _ELSEWHERE.match(name):
            tensors.skip(name)
    tensors.require_all()
    folded = fold(layers, batch(arguments["latent_dim"], uniform=False), network.leak)
    single = _single(kernels)
    parts = {f"start.{index}": linear(*layer) for index, layer in enumerate(folded[:single])}
    for index, (kernel, offset) in enumerate(folded[single:]):
        parts[f"blocks.{index}"] = {"weight": kernel, "bias": offset}
    stored = all(layer.normalisation.mean is not None for layer in layers)
    return Translation("transposed", arguments, nested(parts) | weights, _notes(network, stored))


ALI = Family(
    "ALI (Theano, Blocks) for CIFAR-10, SVHN, CelebA and Tiny ImageNet: an .npz, or Blocks' tar",
    lambda shapes: bool(_bricks(shapes)),
    _translate,
)
