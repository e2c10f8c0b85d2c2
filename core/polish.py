"""Levenberg-Marquardt: descent to the bottom of a valley that first-order methods creep along."""

import torch
from torch import Tensor

from .calls import Calls, Kind, evaluations
from .curvature import Curvature
from .posterior import Points, Posterior, Values

# The damping at first, in units of the prior's precision, and the changes of it that are tried.
_FIRST_DAMPING = 1.0
_DAMPING_FACTORS = (0.1, 1.0, 10.0)
_STEPS_PER_CURVATURE = 4
# The least damping where there is no prior, whose precision bounds a step in flat directions.
_LEAST_DAMPING = 1e-3


def polish_evaluations(rounds: int, products: int) -> int:
    """Calls of the generator for one point, each of the ``products`` with J counted as one."""
    return evaluations(polish_calls(rounds, products, 1))


def polish_calls(rounds: int, products: int, points: int) -> list[Calls]:
    """The same calls, of so many points of each image."""
    return [*valley_calls(rounds, products, points), Calls(Kind.JACOBIAN, 1, points, products)]


def valley_calls(rounds: int, products: int, points: int) -> list[Calls]:
    """The same, without the curvature at the end."""
    steps = rounds * _STEPS_PER_CURVATURE
    return [
        Calls(Kind.JACOBIAN, rounds, points, products),
        Calls(Kind.DESCENT, steps, points),
        Calls(Kind.IMAGES, steps * len(_DAMPING_FACTORS), points),
    ]


def polish(
    posterior: Posterior, latent: Points, value: Values, rounds: int, max_bytes: int
) -> tuple[Points, Values, Curvature]:
    """Points after ``rounds`` of four Levenberg-Marquardt steps, their values, and J^T J there.

    A step solves with the Gauss-Newton precision J^T J / variance + I and its own damping; J is
    computed once a round, since it costs as much as many steps. No point's value ever rises.

    Args:
        posterior: what is minimised.
        latent: where to start.
        value: the posterior's there.
        rounds: of four steps; with 0 only the curvature is computed.
        max_bytes: memory for the derivatives.
    """
    latent, value, _ = descend_valley(posterior, latent, value, rounds, max_bytes)
    return latent, value, posterior.curvature(latent, max_bytes)


def descend_valley(
    posterior: Posterior, latent: Points, value: Values, rounds: int, max_bytes: int
) -> tuple[Points, Values, int]:
    """The points and values of `polish`, and the products with J that a Jacobian took.

    Without a prior a step solves with the damping alone in its place, which has a floor: flat
    directions would else take a point as far as numbers go.
    """
    damping, products = torch.full_like(value, _FIRST_DAMPING), 0
    for _ in range(rounds):
        curvature = posterior.curvature(latent, max_bytes)
        products = curvature.products
        for _ in range(_STEPS_PER_CURVATURE):
            latent, value, damping = _step(posterior, latent, value, damping, curvature)
    return latent, value, products


def _step(
    posterior: Posterior, latent: Tensor, value: Tensor, damping: Tensor, curvature: Curvature
) -> tuple[Tensor, Tensor, Tensor]:
    """The points [images, points, latent] after a Levenberg-Marquardt step, values and damping.

    Of a few dampings around each point's own the best is kept; where none improves the point, it
    stays and its damping grows.
    """
    gradient = posterior.gradient(latent).nan_to_num(nan=0.0, posinf=0.0, neginf=0.0)
    shape = latent.shape[:2]
    directions = curvature.directions.unflatten(0, shape)
    eigenvalue = curvature.eigenvalue.unflatten(0, shape)
    along = gradient[..., None, :] @ directions
    best, best_value, best_damping = latent, value, damping * _DAMPING_FACTORS[-1] ** 2
    for factor in _DAMPING_FACTORS:
        trial = factor * damping
        if not posterior.precision:
            trial = trial.clamp(min=_LEAST_DAMPING)
        flat = (posterior.precision + trial)[..., None]
        # The inverse of the damped precision is 1 / flat outside of the directions.
        shrink = (eigenvalue / (flat + eigenvalue)).to(latent)
        step = (((along * shrink[..., None, :]) @ directions.mT)[..., 0, :] - gradient) / flat
        moved = posterior.place(latent + step.to(latent))
        moved_value = posterior.value(moved)
        better = moved_value < best_value
        best = torch.where(better[..., None], moved, best)
        best_value = torch.where(better, moved_value, best_value)
        best_damping = torch.where(better, trial, best_damping)
    return best, best_value, best_damping
