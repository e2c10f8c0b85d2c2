"""Linear algebra on weights that makes a network cheaper and leaves its images the same."""

import torch
from torch import Tensor


def enlarged_convolution(kernel: Tensor) -> Tensor:
    """A 3x3 convolution of a map enlarged by nearest neighbours, as one transposed convolution.

    Each value of the enlarged map appears twice along each axis, so that three taps at stride 1
    become four at stride 2, [k2, k2 + k1, k1 + k0, k0]: 16 multiplications a value instead of 36.

    ``kernel`` [outputs, inputs, 3, 3] with padding 1; returns [inputs, outputs, 4, 4] for
    `conv_transpose2d` with stride 2 and padding 1.
    """
    taps = kernel.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])
    return torch.einsum("ya,oiab,xb->ioyx", taps, kernel, taps)


def affine_of_batch_norm(
    mean: Tensor, variance: Tensor, gain: Tensor, shift: Tensor, epsilon: float
) -> tuple[Tensor, Tensor]:
    """Scale and shift that batch normalisation amounts to with fixed statistics.

    (x - mean) / sqrt(variance + epsilon) * gain + shift = x * scale + offset; ``gain`` and
    ``shift`` may carry further dimensions before the channels, as per-class tables do.
    """
    scale = gain / (variance + epsilon).sqrt()
    return scale, shift - mean * scale


def styled_affine(
    mean: Tensor, variance: Tensor, gain: Tensor, shift: Tensor, epsilon: float
) -> dict[str, Tensor]:
    """A `ChannelAffine`'s weight and bias for conditional batch normalisation.

    The style s sets the gain 1 + gain s and the shift ``shift`` s; ``gain`` and ``shift`` are
    [channels, style].
    """
    scale, offset = affine_of_batch_norm(mean, variance, gain.T, shift.T, epsilon)
    ones = torch.ones_like(mean)
    at_rest = affine_of_batch_norm(mean, variance, ones, torch.zeros_like(mean), epsilon)
    return {"weight": torch.cat([scale, offset], dim=1).T, "bias": torch.cat(at_rest)}


def constant_affine(
    mean: Tensor, variance: Tensor, gain: Tensor, shift: Tensor, epsilon: float
) -> dict[str, Tensor]:
    """A `ChannelAffine`'s bias for batch normalisation without a style; all four [channels]."""
    return {"bias": torch.cat(affine_of_batch_norm(mean, variance, gain, shift, epsilon))}


def after_transposed(kernel: Tensor, bias: Tensor, affine: Tensor) -> dict[str, Tensor]:
    """A transposed convolution with the constant scale and shift that follow it made part of it.

    ``kernel`` [inputs, outputs, ...], ``bias`` [outputs], ``affine`` [2 outputs]: scales, shifts.
    """
    scale, shift = affine.chunk(2)
    spread = scale.view(1, -1, *(1 for _ in kernel.shape[2:]))
    return {"weight": kernel * spread, "bias": bias * scale + shift}
