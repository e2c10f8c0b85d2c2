"""What Theano's families share: transposed convolutions with batch normalisation made part of them.

Theano convolves with flipped kernels and so do the gradients that its "deconvolutions" are: a
kernel turned by 180 degrees is what torch's transposed convolution takes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv_transpose2d, leaky_relu

STATISTICS_BATCH = 500


@dataclass(frozen=True)
class Normalisation:
    """Batch normalisation after a layer: gain (x - mean) / deviation + shift.

    All four are [channels], or [channels, 4, 4] where each place of the first map is normalised by
    itself. Without a ``mean`` and ``deviation`` they are those of a batch, the deviation
    sqrt(variance + ``epsilon``).
    """

    gain: Tensor
    shift: Tensor
    epsilon: float
    mean: Tensor | None = None
    deviation: Tensor | None = None


@dataclass(frozen=True)
class Layer:
    """A transposed convolution in torch's terms: ``kernel`` [inputs, outputs, side, side]."""

    kernel: Tensor
    stride: int
    padding: int
    further: int
    normalisation: Normalisation

    def apply(self, features: Tensor, kernel: Tensor) -> Tensor:
        """The convolution by a kernel of this layer's form, without an offset."""
        return conv_transpose2d(
            features, kernel.to(features), None, self.stride, self.padding, self.further
        )


def fold(layers: Sequence[Layer], latents: Tensor, leak: float) -> list[tuple[Tensor, Tensor]]:
    """Kernels and offsets, with each layer's normalisation in them.

    ``latents`` [N, latent] are the batch whose statistics stand in for stored ones; they are looked
    at only where a layer has none. In float32, as upstream computes them.
    """
    features = latents.float()[:, :, None, None]
    needed = any(layer.normalisation.mean is None for layer in layers)
    folded = []
    for layer in layers:
        norm = layer.normalisation
        mean, deviation = norm.mean, norm.deviation
        if mean is None or deviation is None:
            mean, deviation = _statistics(layer.apply(features, layer.kernel), norm)
        scale = norm.gain / deviation
        spread = scale.view(1, scale.shape[0], *(scale.shape[1:] or (1, 1)))
        kernel, offset = layer.kernel * spread, norm.shift - mean * scale
        folded.append((kernel, offset))
        if needed:
            moved = offset.view(1, *spread.shape[1:]).to(features)
            features = leaky_relu(layer.apply(features, kernel) + moved, leak)
    return folded


def _statistics(features: Tensor, norm: Normalisation) -> tuple[Tensor, Tensor]:
    places = (0, 2, 3) if norm.shift.dim() == 1 else (0,)
    wide = features.double()
    return wide.mean(places), (wide.var(places, correction=0) + norm.epsilon).sqrt()


def linear(kernel: Tensor, offset: Tensor) -> dict[str, Tensor]:
    """A layer on a single value as a linear one: to 4x4, or to 1x1."""
    places = kernel.shape[2:]
    spread = offset if offset.dim() > 1 else offset[:, None, None].expand(-1, *places)
    return {"weight": kernel.flatten(1).T, "bias": spread.reshape(-1)}


def batch(latent_dim: int, uniform: bool) -> Tensor:
    """The fixed latents whose batch statistics stand in for those that a file lacks."""
    random = np.random.default_rng(0)
    shape = (STATISTICS_BATCH, latent_dim)
    drawn = random.random(shape) if uniform else random.standard_normal(shape)
    return torch.from_numpy(drawn)
