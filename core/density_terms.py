"""What a log density is made of, by Laplace's approximation: fit, prior and volume."""

import math
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from .batch import check_batch, check_variance
from .generators.protocol import Generator
from .polish import polish
from .posterior import Posterior
from .settings.guided import GuidedSettings
from .settings.search import JACOBIAN_BYTES


class DensityTerms(NamedTuple):
    """Three terms of each image, in nats, whose sum approximates ln p(x) from below one mode.

    ``fit`` is ln N(x; G(z), variance) at the mode z, ``prior`` ln N(z; 0, I), and ``volume`` the
    logarithm of the latent volume that explains x as well:
    (d ln 2 pi - ln det(I + J^T J / variance)) / 2. ``points`` are the latents z.
    """

    fit: Float64[Tensor, " images"]
    prior: Float64[Tensor, " images"]
    volume: Float64[Tensor, " images"]
    points: Float[Tensor, "images latent"]


def density_terms(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    variance: float,
    starts: Float[Tensor, "images starts latent"],
    rounds: int = GuidedSettings.polish,
) -> DensityTerms:
    """The terms at the mode of largest evidence that descents from ``starts`` lead to.

    Exact where G is linear, and the posterior has one mode. Where a generator normalises its latent
    modes are sought on the sphere of radius sqrt(d - 1), as the guided estimator does, and the
    radius counts as a direction that the likelihood says nothing of.

    Args:
        generator: G, differentiable in forward mode.
        images: x, on [0, 1].
        condition: the class G is given for each image; None for an unconditional generator.
        variance: sigma^2 on [0, 1].
        starts: points near modes, such as the ends of an inversion's restarts.
        rounds: of four Levenberg-Marquardt steps.

    Raises:
        ValueError: if lengths or shapes disagree or the variance is not positive.
    """
    check_batch(generator, images, condition, range(len(images)))
    check_variance(variance)
    posterior = Posterior(generator, images, condition, variance)
    posterior.confine()
    starts = posterior.place(starts)
    value = posterior.value(starts)
    points, value, curvature = polish(posterior, starts, value, rounds, JACOBIAN_BYTES)
    half_log_det = 0.5 * torch.log1p(curvature.eigenvalue).sum(-1).unflatten(0, points.shape[:2])
    best = (-value - half_log_det).nan_to_num(nan=-math.inf).argmax(1, keepdim=True)
    points = torch.take_along_dim(points, best[..., None], 1)[:, 0]
    half_norm = 0.5 * points.double().square().sum(1)
    misfit = torch.take_along_dim(value, best, 1)[:, 0] - half_norm
    latent, dimensions = points.shape[1], images[0].numel()
    return DensityTerms(
        fit=-misfit - dimensions / 2 * math.log(2 * math.pi * variance),
        prior=-half_norm - latent / 2 * math.log(2 * math.pi),
        volume=latent / 2 * math.log(2 * math.pi)
        - torch.take_along_dim(half_log_det, best, 1)[:, 0],
        points=points,
    )
