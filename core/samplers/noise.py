"""Random numbers that belong to an item, whatever batch the item is computed in."""

from collections.abc import Iterator, Sequence
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

_BLOCK_NUMBERS = 2**22


class Stream(IntEnum):
    """What an item's random numbers are for; one seed gives an independent stream for each.

    So the same seed may simulate an image and then estimate its likelihood: the chains do not
    start at the latent that made it. The numbers are part of every seeded result: append only.
    """

    SIMULATION = 0
    FORWARD = 1
    REVERSE = 2
    TUNING = 3
    INVERSION = 4
    MODES = 5
    COMPONENTS = 6
    GUIDED = 7
    GUIDED_REVERSE = 8
    MEASUREMENT_MATRIX = 9
    MEASUREMENT_NOISE = 10
    SENSING = 11
    REPORTED = 12
    BANK = 13
    PROBES = 14
    PROBE = 15
    PROBE_OFFSETS = 16


class _Part(IntEnum):
    NORMALS = 0
    MOMENTA = 1
    UNIFORMS = 2


class TransitionNoise(NamedTuple):
    """What one HMC transition of every chain consumes."""

    momentum: Float[Tensor, "images chains latent"]
    acceptance: Float[Tensor, "images chains"]
    jitter: Float[Tensor, "images chains"]


def item_normals(
    seeds: Sequence[int], stream: tuple[int, ...], shape: tuple[int, ...], like: Tensor
) -> Tensor:
    """Standard normals [items, *shape] in the dtype and on the device of ``like``.

    Args:
        seeds: one per item.
        stream: a `Stream`, and the number of the pass where a stream has several.
        shape: of each item's normals.
        like: a tensor of the wanted dtype and device.

    Raises:
        ValueError: if a seed is negative.
    """
    dtype = _numpy_dtype(like)
    block = np.empty((len(seeds), *shape), dtype=dtype)
    for row, seed in zip(block, seeds, strict=True):
        _item_generator(seed, stream, _Part.NORMALS).standard_normal(dtype=dtype, out=row)
    return torch.from_numpy(block).to(like.device)


def transition_noise(
    seeds: Sequence[int],
    stream: tuple[int, ...],
    transitions: int,
    like: Float[Tensor, "images chains latent"],
) -> Iterator[TransitionNoise]:
    """Noise for ``transitions`` HMC transitions, drawn in blocks of bounded memory.

    Momenta and uniforms come from separate streams, each drawn in order of transitions, so where a
    block ends changes nothing and its length may follow from the size of the batch.

    Args:
        seeds: one per image.
        stream: a `Stream`, and the number of the pass where a stream has several.
        transitions: how many to yield.
        like: the chains' positions, for shape, dtype and device.
    """
    images, chains, latent = like.shape
    dtype = _numpy_dtype(like)
    momentum_generators = [_item_generator(seed, stream, _Part.MOMENTA) for seed in seeds]
    uniform_generators = [_item_generator(seed, stream, _Part.UNIFORMS) for seed in seeds]
    longest = max(1, _BLOCK_NUMBERS // max(1, like.numel()))
    done = 0
    while done < transitions:
        length = min(longest, transitions - done)
        momenta = np.empty((images, length, chains, latent), dtype=dtype)
        uniforms = np.empty((images, length, 2, chains), dtype=dtype)
        for image in range(images):
            momentum_generators[image].standard_normal(dtype=dtype, out=momenta[image])
            uniform_generators[image].random(dtype=dtype, out=uniforms[image])
        momenta_on_device = torch.from_numpy(momenta).to(like.device)
        uniforms_on_device = torch.from_numpy(uniforms).to(like.device)
        for index in range(length):
            yield TransitionNoise(
                momentum=momenta_on_device[:, index],
                acceptance=uniforms_on_device[:, index, 0],
                jitter=uniforms_on_device[:, index, 1],
            )
        done += length


def _item_generator(seed: int, stream: tuple[int, ...], part: _Part) -> np.random.Generator:
    """NumPy's generators, because a torch CPU generator keeps only the low 32 bits of its seed."""
    if seed < 0:
        raise ValueError(f"seed = {seed}: seeds must be non-negative integers")
    sequence = np.random.SeedSequence(seed, spawn_key=(*stream, part))
    return np.random.Generator(np.random.PCG64(sequence))


def _numpy_dtype(like: Tensor) -> type[np.float32] | type[np.float64]:
    return np.float64 if like.dtype == torch.float64 else np.float32
