"""Annealing schedules: the inverse temperatures from 0 to 1."""

import math

import torch
from jaxtyping import Float64
from torch import Tensor


def geometric_schedule(increments: int, growth: float) -> Float64[Tensor, " knots"]:
    """Inverse temperatures beta_0 = 0 < ... < beta_T = 1 whose increments grow geometrically.

    beta_t = (growth^(t / T) - 1) / (growth - 1). Between Gaussians of standard deviations tau and 1
    and the same mean, equal steps of the log precision, growth = tau^2, dissipate least.

    Args:
        increments: T, the number of increments of the weight; the result has T + 1 entries.
        growth: about the ratio of the last increment to the first, above 1.

    Raises:
        ValueError: if ``increments`` is below 1 or ``growth`` not above 1.
    """
    _require_increments(increments)
    if not growth > 1:
        raise ValueError(f"growth = {growth}: the increments must grow")
    steps = torch.linspace(0, 1, increments + 1, dtype=torch.float64)
    beta = torch.expm1(steps * math.log(growth)) / (growth - 1)
    beta[-1] = 1.0
    return beta


def sigmoid_schedule(increments: int, radius: float) -> Float64[Tensor, " knots"]:
    """Inverse temperatures beta_0 = 0 < ... < beta_T = 1, dense at both ends.

    s = sigmoid(linspace(-radius, radius, T + 1)), beta = (s - s_0) / (s_T - s_0), as in Wu et al.,
    "On the Quantitative Analysis of Decoder-Based Generative Models" (2017).

    Args:
        increments: T, the number of increments of the weight; the result has T + 1 entries.
        radius: half-width of the sigmoid's argument; towards 0 the schedule becomes linear.

    Raises:
        ValueError: if ``increments`` is below 1 or ``radius`` is not positive.
    """
    _require_increments(increments)
    if not radius > 0:
        raise ValueError(f"radius = {radius}: the sigmoid's radius must be positive")
    knots = torch.linspace(-radius, radius, increments + 1, dtype=torch.float64).sigmoid()
    beta = (knots - knots[0]) / (knots[-1] - knots[0])
    beta[0], beta[-1] = 0.0, 1.0
    return beta


def _require_increments(increments: int) -> None:
    if increments < 1:
        raise ValueError(f"increments = {increments}: an annealing path needs at least 1")
