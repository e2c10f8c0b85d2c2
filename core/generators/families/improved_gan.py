"""Improved-GAN (Salimans et al. 2016) for 32 pixels, as its Theano scripts would save it.

``numpy.savez`` of the generator's trainable parameters in order, ``arr_0``, ``arr_1``, ...: a dense
layer and deconvolutions of 5x5, each normalised over the batch with a shift alone, but the last,
whose weights are normalised, with an offset and a gain. There are no batch statistics: upstream
generates with those of the batch.
"""

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor

from .checkpoint import Checkpoint, CheckpointError, Family, PublishedTensors, Shape, Translation
from .residual import nested
from .transposed import STATISTICS_BATCH, Layer, Normalisation, batch, fold, linear

_EPSILON = 1e-6
_COARSEST = 4
_SIDE = 5
# Doubles: 'half' padding at stride 2, in torch's terms.
_DOUBLING = {"stride": 2, "padding": 2, "further": 1}
_NOTES = (
    "latents are uniform on [0, 1], as smooth functions of the N(0, I) latents in the tables",
    f"the file has no batch statistics: those of {STATISTICS_BATCH} fixed latents are used, "
    "layer by layer; upstream uses those of each batch of 100",
    "images are (tanh + 1) / 2, as SVHN's were scaled for training; CIFAR-10's were divided by "
    "128 instead of 127.5, so images of a file trained on them are off by up to half a grey "
    "level (0.002)",
)


def _count(shapes: Mapping[str, Shape]) -> int:
    """How many deconvolutions there are; 0 where the arrays are not a generator's."""
    dimensions = [len(shapes.get(f"arr_{number}", ())) for number in range(len(shapes))]
    count = (len(shapes) - 3) // 2
    return count if dimensions == [2, 1, *[4, 1] * count, 1] and count else 0


def _layers(tensors: PublishedTensors, count: int, latent_dim: int) -> list[Layer]:
    first, *widths = [tensors.shape(f"arr_{2 * index}")[0] for index in range(count + 1)][1:]
    units = first * _COARSEST**2
    dense = tensors.take("arr_0", latent_dim, units).view(latent_dim, first, 4, 4)
    shift = tensors.take("arr_1", units).view(first, 4, 4)
    norm = Normalisation(torch.ones_like(shift), shift, _EPSILON)
    layers = [Layer(dense, 1, 0, 0, norm)]
    for index, (inputs, outputs) in enumerate(pairwise([first, *widths]), 1):
        kernel = tensors.take(f"arr_{2 * index}", inputs, outputs, _SIDE, _SIDE).flip(2, 3)
        shift = tensors.take(f"arr_{2 * index + 1}", outputs)
        norm = Normalisation(torch.ones_like(shift), shift, _EPSILON)
        layers.append(Layer(kernel, **_DOUBLING, normalisation=norm))
    return layers


def _pixels(
    tensors: PublishedTensors, place: int, inputs: int, colours: int
) -> tuple[Tensor, Tensor]:
    """The last deconvolution's kernel, g W / |W| for each colour, and its offset."""
    kernel = tensors.take(f"arr_{place}", inputs, colours, _SIDE, _SIDE)
    offset, gain = (tensors.take(f"arr_{place + further}", colours) for further in (1, 2))
    scale = gain / (_EPSILON + kernel.square().sum((0, 2, 3))).sqrt()
    return (kernel * scale[:, None, None]).flip(2, 3), offset


def _translate(checkpoint: Checkpoint) -> Translation:
    shapes, tensors = checkpoint.shapes, PublishedTensors(checkpoint.tensors)
    count = _count(shapes)
    if not count:
        raise CheckpointError(
            "expected arr_0, arr_1, ...: only the trainable parameters of a generator, in order"
        )
    latent_dim, colours = shapes["arr_0"][0], shapes[f"arr_{2 * count}"][1]
    side = _COARSEST << count
    layers = _layers(tensors, count, latent_dim)
    channels = [layer.kernel.shape[1] for layer in layers]
    kernel, offset = _pixels(tensors, 2 * count, channels[-1], colours)
    tensors.require_all()
    (first, *rest) = fold(layers, batch(latent_dim, uniform=True), leak=0.0)
    parts = {
        "start.0": linear(*first),
        "pixels": {"weight": kernel},
        **{
            f"blocks.{index}": {"weight": weight, "bias": bias}
            for index, (weight, bias) in enumerate(rest)
        },
    }
    weights = nested(parts) | {"offset": offset[:, None, None].expand(-1, side, side).clone()}
    arguments = {
        "latent_dim": latent_dim,
        "num_classes": 0,
        "image_shape": [colours, side, side],
        "widths": [channels[0]],
        "convolutions": [
            [outputs, _SIDE, *_DOUBLING.values()] for outputs in [*channels[1:], colours]
        ],
        "leak": 0.0,
        "uniform_latent": True,
    }
    return Translation("transposed", arguments, weights, _NOTES)


IMPROVED_GAN = Family(
    "Improved-GAN (Theano) for CIFAR-10 and SVHN: an .npz of the generator's parameters",
    lambda shapes: _count(shapes) > 0,
    _translate,
)
