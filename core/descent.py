"""Gradient descent that keeps each row's best iterate."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from .row_limit import Block, RowLimit

Points = Float[Tensor, "images points latent"]
Values = Float[Tensor, "images points"]
Objective = Callable[[Points, float, Block], tuple[Values, Values]]


def descend(
    objective: Objective,
    start: Points,
    iterations: int,
    learning_rate: float | Float[Tensor, " points"],
    limit: RowLimit,
) -> tuple[Points, Values]:
    """Minimises every point's objective with Adam, its rate falling to 0 as a cosine.

    Args:
        objective: (points of a block, progress from 0 to 1, the block) -> what to descend now, and
            what to judge by.
        start: the first iterates.
        iterations: steps of Adam; the objective is called once more.
        learning_rate: at the start; one for all or one for each of an image's points.
        limit: of the points that the objective is given at once.

    Returns:
        Each point's best iterate, not its last, and the value it was judged by; infinite where that
        never was finite.
    """
    # Adam's steps do not depend on the unit of what it moves: the offset's is the learning rate.
    images, points = start.shape[:2]
    rate = torch.as_tensor(learning_rate, dtype=start.dtype, device=start.device)
    unit = rate.view(-1, 1).expand(points, 1)
    offset = torch.zeros_like(start).requires_grad_()
    optimiser = torch.optim.Adam([offset], lr=1.0)
    best_latent = start.clone()
    best = torch.full_like(start[..., 0], math.inf)
    for iteration in range(iterations + 1):
        progress, last = iteration / max(iterations, 1), iteration == iterations

        def judged_and_gradient(
            block: Block, progress: float = progress, last: bool = last
        ) -> tuple[Tensor, ...]:
            with torch.enable_grad():
                own = offset[block].detach().requires_grad_()
                latent = start[block] + unit[block.points] * own
                descended, judged = objective(latent, progress, block)
                # A sum, so that a row's gradient is its own and not divided by the batch.
                total = descended.sum()
            found = latent.detach(), judged.detach()
            return found if last else (*found, *torch.autograd.grad(total, own))

        latent, judged, *gradient = limit.over(images, points, judged_and_gradient)
        better = judged < best
        best = torch.where(better, judged, best)
        best_latent = torch.where(better[..., None], latent, best_latent)
        if not last:
            optimiser.param_groups[0]["lr"] = 0.5 * (1 + math.cos(math.pi * progress))
            (offset.grad,) = gradient
            optimiser.step()
    return best_latent, best
