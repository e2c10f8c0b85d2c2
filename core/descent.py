"""Gradient descent that keeps each row's best iterate."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

Objective = Callable[
    [Float[Tensor, "rows latent"], float], tuple[Float[Tensor, " rows"], Float[Tensor, " rows"]]
]


def descend(
    objective: Objective,
    start: Float[Tensor, "rows latent"],
    iterations: int,
    learning_rate: float | Float[Tensor, " rows"],
) -> tuple[Float[Tensor, "rows latent"], Float[Tensor, " rows"]]:
    """Minimises every row's objective with Adam, its rate falling to 0 as a cosine.

    Args:
        objective: (rows, progress from 0 to 1) -> what to descend now, and what to judge by.
        start: the first iterates.
        iterations: steps of Adam; the objective is called once more.
        learning_rate: at the start; one for all rows or one for each.

    Returns:
        Each row's best iterate, not its last, and the value it was judged by; infinite where that
        never was finite.
    """
    # Adam's steps do not depend on the unit of what it moves: the offset's is the learning rate.
    unit = torch.as_tensor(learning_rate, dtype=start.dtype, device=start.device).view(-1, 1)
    offset = torch.zeros_like(start).requires_grad_()
    optimiser = torch.optim.Adam([offset], lr=1.0)
    best_latent = start.clone()
    best = torch.full_like(start[:, 0], math.inf)
    for iteration in range(iterations + 1):
        progress = iteration / max(iterations, 1)
        with torch.enable_grad():
            latent = start + unit * offset
            descended, judged = objective(latent, progress)
            # A sum, so that a row's gradient is its own and not divided by the batch.
            total = descended.sum()
        with torch.no_grad():
            better = judged < best
            best = torch.where(better, judged, best)
            best_latent = torch.where(better[:, None], latent, best_latent)
        if iteration < iterations:
            optimiser.param_groups[0]["lr"] = 0.5 * (1 + math.cos(math.pi * progress))
            (offset.grad,) = torch.autograd.grad(total, offset)
            optimiser.step()
    return best_latent, best
