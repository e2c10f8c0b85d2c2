"""Annealing schedules: the inverse temperatures from 0 to 1."""

import torch
from jaxtyping import Float64
from torch import Tensor


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
    if increments < 1:
        raise ValueError(f"increments = {increments}: an annealing path needs at least 1")
    if not radius > 0:
        raise ValueError(f"radius = {radius}: the sigmoid's radius must be positive")
    knots = torch.linspace(-radius, radius, increments + 1, dtype=torch.float64).sigmoid()
    beta = (knots - knots[0]) / (knots[-1] - knots[0])
    beta[0], beta[-1] = 0.0, 1.0
    return beta
