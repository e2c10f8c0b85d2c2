"""Latent priors other than N(0, I), as smooth bijections from standard normal latents.

Inversion and annealed importance sampling then run in unbounded latents u ~ N(0, I), in which a
generator with a bounded prior is x = G(z(u)): exact, since z(u) has that prior, with the Jacobian
of the bijection inside N(0, I) and nothing clipped.
"""

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

# Standard deviations: bounds that ndtr has digits for, and the last number that erfc has any for.
_FAR = 5.0
_FURTHEST = -37.0

LatentPrior = Callable[[Float[Tensor, "batch latent"]], Float[Tensor, "batch latent"]]


def uniform(low: float, high: float) -> LatentPrior:
    """Independent entries, uniform between ``low`` and ``high``: z = low + (high - low) Phi(u).

    Raises:
        ValueError: if ``low`` is not below ``high``.
    """
    if not low < high:
        raise ValueError(f"uniform prior from {low} to {high}: the lower bound must come first")
    return lambda normal: low + (high - low) * torch.special.ndtr(normal)


def truncated_normal(bound: float) -> LatentPrior:
    """Independent standard normal entries, truncated to [-bound, bound].

    z = Phi^-1(Phi(-bound) + (Phi(bound) - Phi(-bound)) Phi(u)), as BigGAN-deep's truncated
    normals are distributed.

    Raises:
        ValueError: if ``bound`` is not positive.
    """
    if not bound > 0:
        raise ValueError(f"normal prior truncated at {bound}: the bound must be positive")
    outside = 0.5 * math.erfc(bound * math.sqrt(0.5))

    def lower_half(normal: Tensor) -> Tensor:
        below = normal.clamp(max=0.0)
        latent: Tensor = torch.special.ndtri(
            outside + (1 - 2 * outside) * torch.special.ndtr(below)
        )
        return latent

    def lower_half_far(normal: Tensor) -> Tensor:
        # Torch's ndtr has no digits in the tail that a far bound leaves, its erfc has them.
        below = normal.double().clamp(_FURTHEST, 0.0)
        share = 0.5 * torch.special.erfc(below * -math.sqrt(0.5))
        latent: Tensor = torch.special.ndtri(outside + (1 - 2 * outside) * share).to(normal.dtype)
        return latent

    half = lower_half if bound <= _FAR else lower_half_far
    # By symmetry: near 1 the distribution function has no digits left, and its inverse is infinite.
    return lambda normal: torch.where(normal > 0, -half(-normal), half(normal))
