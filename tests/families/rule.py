"""Weights made by rule: the same for the upstream class, when recorded, and for the suite."""

import zlib
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

_LUCIDRAINS = ("SE.", "GE.")
_ROSINALITYS = ("style.", "input.", "conv1.", "convs.", "to_rgb", "noises.")


def by_rule(shapes: Mapping[str, Sequence[int]]) -> dict[str, Tensor]:
    """A tensor for every name: drawn by the name's checksum, scaled to keep activations of size 1.

    Vectors of a spectral norm are the largest singular ones, so that the norm is close to 1.
    """
    tensors = {name: _drawn(name, tuple(shape)) for name, shape in shapes.items()}
    for name in tensors:
        layer, _, last = name.rpartition(".")
        if last == "weight_u":
            deconvolution = "deconv" in layer
            weight = tensors[f"{layer}.weight_orig"]
            left, right = _leading(weight.transpose(0, 1) if deconvolution else weight)
            tensors[name], tensors[f"{layer}.weight_v"] = left, right
        elif last == "u0":
            tensors[name] = _leading(tensors[f"{layer}.weight"])[0][None]
    return tensors


def draws(name: str, *shape: int) -> Tensor:
    """Standard normal numbers that depend on the name alone."""
    random = np.random.default_rng(zlib.crc32(name.encode()))
    return torch.from_numpy(random.standard_normal(shape).astype(np.float32))


def _drawn(name: str, shape: tuple[int, ...]) -> Tensor:
    numbers = draws(name, *shape)
    last = name.rpartition(".")[2]
    if name.startswith(("mapping.", "synthesis.")):
        return _drawn_for_stylegan(name, numbers)
    if name.startswith(_ROSINALITYS):
        return _drawn_for_rosinality(name, numbers)
    if name.startswith(_LUCIDRAINS):
        return _drawn_for_lucidrains(name, numbers)
    if last == "Kernel":
        return _filter()
    if last == "num_batches_tracked":
        return torch.tensor(1000)
    if "var" in last:
        return 0.5 + numbers.abs()
    if len(shape) < 2:
        return 0.3 * numbers + (1.0 if last in ("weight", "gamma", "sigma") else 0.0)
    return numbers / float(np.sqrt(np.prod(shape[1:])))


def _drawn_for_stylegan(name: str, numbers: Tensor) -> Tensor:
    """Weights of variance 1, which its layers scale; those of the mapping over its rate, 0.01."""
    last = name.rpartition(".")[2]
    if last == "resample_filter":
        return _filter()
    if last in ("const", "noise_const"):
        return numbers
    if last == "up_filter":
        # Six of its taps fall on a pixel, times the factor, which is a sixth of their number.
        return numbers * 6**0.5 / len(numbers)
    if last == "down_filter":
        return numbers / numbers.numel() ** 0.5
    if last == "transform":
        return torch.eye(3)
    if last == "magnitude_ema":
        return 0.5 + numbers.abs()
    if last == "freqs":
        return 1.5 * numbers
    if last == "weight":
        return numbers / 0.01 if ".fc" in name else numbers
    if name.endswith("affine.bias"):
        return 1 + 0.3 * numbers
    return 0.1 * 0.3 * numbers if last == "noise_strength" else 0.3 * numbers


def _drawn_for_rosinality(name: str, numbers: Tensor) -> Tensor:
    """The same for rosinality's StyleGAN2, whose filters have the gain that enlarging needs."""
    last = name.rpartition(".")[2]
    if last == "kernel":
        return 4 * _filter()
    if name.startswith(("noises.", "input.")):
        return numbers
    if name.startswith("style."):
        return numbers / 0.01 if last == "weight" else 0.3 * numbers
    if name.endswith("modulation.bias"):
        return 1 + 0.3 * numbers
    return 0.3 * numbers if numbers.numel() == 1 or last == "bias" else numbers


def _drawn_for_lucidrains(name: str, numbers: Tensor) -> Tensor:
    """Weights of variance 1 in the mapping, over its rate, 0.1; else over their inputs."""
    if name.endswith(".f"):
        return torch.tensor([1.0, 2.0, 1.0])
    if name.endswith(("bias", "initial_block")):
        return numbers if name.endswith("initial_block") else 0.3 * numbers
    inputs = numbers[0].numel() ** 0.5
    return numbers / inputs / 0.1 if name.startswith("SE.") else numbers / inputs


def _filter() -> Tensor:
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    return taps.outer(taps)


def _leading(weight: Tensor) -> tuple[Tensor, Tensor]:
    left, _, right = torch.linalg.svd(weight.flatten(1).double(), full_matrices=False)
    return left[:, 0].float(), right[0].float()
