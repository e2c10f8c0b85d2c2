"""The observation variance sigma^2 of x = G(z) + N(0, sigma^2), by marginal maximum likelihood.

The mean squared error of reconstructions [IP B.3] profiles the latent out: for a linear G with
Gaussian latents it is low by exactly the factor 1 - d/D, and a perfect model's data then lie d/2
nats below its own samples. The maximum of the marginal likelihood is instead the fixed point of

    sigma^2 = (mean_i |x_i - G(z_i)|^2 + sigma^2 mean_i d_i) / D,   d_i = sum_k l_k / (1 + l_k),

z_i the maximum of the posterior at that sigma^2 and l_k the eigenvalues of J^T J / sigma^2 there:
EM with Laplace's approximation as its E step (Tipping and Bishop 1999, Eq. 8, where G is linear).

Reconstructions are found once along a grid of variances, image by image, so that the work can be
shared out; the fixed point is found on the interpolated curves.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64, Int
from scipy import interpolate, optimize, stats
from torch import Tensor

from .calls import Calls, Kind
from .generators.protocol import Generator
from .polish import polish, polish_calls
from .posterior import Posterior
from .settings.search import JACOBIAN_BYTES

# Rounds of Levenberg-Marquardt at each variance, from the solution at the next larger one.
_ROUNDS = 2
# Of neighbouring variances in a grid; the curves between are smooth.
_RATIO = 2.0
# A grid begins this far below the least variance that is expected, since the polish goes deeper
# than the inversion did, and ends this far above what degrees of freedom make of the largest.
_BELOW = 16.0
_ABOVE = 4.0
_MOST_DEGREES = 0.9


@dataclass(frozen=True)
class VarianceCurves:
    """What each image contributes at every variance of a grid.

    ``residual`` is |x - G(z)|^2 at the posterior's maximum, ``degrees`` the effective number of
    degrees of freedom d_i of the latent there.
    """

    residual: Float64[Tensor, "images variances"]
    degrees: Float64[Tensor, "images variances"]


@dataclass(frozen=True)
class FittedVariance:
    """The fixed point from ``n`` images, with a 95% interval over images; one image gives none.

    ``log_standard_error`` is that of ln sigma^2, nan for one image; ``degrees`` the mean of d_i at
    the fixed point.
    """

    variance: float
    low: float
    high: float
    log_standard_error: float
    degrees: float
    n: int


def variance_grid(
    profile: float, latent_dim: int, dimensions: int, least: float | None = None
) -> list[float]:
    """Ascending variances among which the fixed point is sought, around the profile estimate.

    For a linear G it lies at most 1 / (1 - d/D) above it. It may lie far below it, at ``least``,
    where the images are the generator's own: an imperfect inversion leaves them farther than
    storage does.

    Raises:
        ValueError: if ``profile`` is not positive and finite.
    """
    if not (math.isfinite(profile) and profile > 0):
        raise ValueError(
            f"the mean squared error of the reconstructions is {profile}: no variance can be fitted"
        )
    largest = _ABOVE / (1 - min(latent_dim / dimensions, _MOST_DEGREES))
    first = min(profile, profile if least is None else least) / _BELOW
    count = math.ceil(math.log(largest * profile / first, _RATIO)) + 1
    return [first * _RATIO**power for power in range(count)]


def curve_calls(products: int, points: int, variances: int) -> list[Calls]:
    """Calls of the generator for an image's curves, from so many points.

    The Jacobian of a point takes so many ``products``.
    """
    polished = polish_calls(_ROUNDS, products, 1)
    return [
        Calls(Kind.IMAGES, variances, points + 1),
        Calls(Kind.IMAGES, variances, 1),
        *(replace(each, times=variances * each.times) for each in polished),
    ]


def variance_curves(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    start: Float[Tensor, "images points latent"],
    variances: list[float],
) -> VarianceCurves:
    """Follows each image's reconstruction from the largest variance of a grid to the smallest.

    At each variance the best of ``start`` and of the solution before is polished.

    Args:
        generator: G, differentiable in forward mode.
        images: x, on [0, 1].
        condition: the class G is given for each image; None for an unconditional generator.
        start: latents to begin with, such as an inversion's restarts.
        variances: the grid, ascending.
    """
    known = start
    residual, degrees = [], []
    for variance in reversed(variances):
        posterior = Posterior(generator, images, condition, variance)
        posterior.confine()
        placed = posterior.place(known)
        value = posterior.value(placed).nan_to_num(nan=math.inf)
        best = value.argmin(1, keepdim=True)
        latent = torch.take_along_dim(placed, best[..., None], 1)
        latent, _, curvature = polish(
            posterior, latent, value.gather(1, best), _ROUNDS, JACOBIAN_BYTES
        )
        with torch.no_grad():
            misfit, _ = posterior.terms(latent)
        residual.append(2 * variance * misfit[:, 0].double())
        degrees.append((curvature.eigenvalue / (1 + curvature.eigenvalue)).sum(-1))
        known = torch.cat([start, latent], 1)
    return VarianceCurves(
        torch.stack(residual[::-1], 1), torch.stack(degrees[::-1], 1).view(len(images), -1)
    )


def fit_variance(
    variances: Float64[np.ndarray, " variances"],
    residual: Float64[np.ndarray, "images variances"],
    degrees: Float64[np.ndarray, "images variances"],
    dimensions: int,
) -> FittedVariance:
    """The fixed point of the images' curves; the least one where there are several.

    The interval is Student's, on the logarithm, of the images' contributions, which move the fixed
    point by 1 / (1 - b) of their own change where the right side grows as sigma^(2b).

    Raises:
        ValueError: if no fixed point lies in the grid, or there are no images.
    """
    if not len(residual):
        raise ValueError("no image was inverted: there is no variance to fit")
    place = np.log(variances)
    sides = (residual + variances * degrees) / dimensions
    with np.errstate(divide="ignore"):
        at_grid = np.log(sides.mean(0)) - place
    crossings = np.flatnonzero((at_grid[:-1] > 0) & (at_grid[1:] <= 0))
    if not len(crossings):
        why = (
            f"no variance between {variances[0]:.3g} and {variances[-1]:.3g} explains the "
            f"{len(residual)} reconstructions"
        )
        if leaves_nothing(variances, residual, degrees, dimensions):
            why = (
                f"the {len(residual)} images come back to the last digit, as a generator's own do "
                "before they are stored, so that there is no noise to fit"
            )
        raise ValueError(f"{why}: give a variance with `variance: {{value: ...}}`")
    first = crossings[0]
    excess = interpolate.PchipInterpolator(place, at_grid)
    root = float(optimize.brentq(excess, place[first], place[first + 1]))
    own = np.array([np.interp(root, place, row) for row in sides])
    influence = (own / own.mean() - 1) / -float(excess.derivative()(root))
    mean_degrees = float(np.interp(root, place, degrees.mean(0)))
    return _with_interval(math.exp(root), influence, mean_degrees)


def leaves_nothing(
    variances: Float64[np.ndarray, " variances"],
    residual: Float64[np.ndarray, "images variances"],
    degrees: Float64[np.ndarray, "images variances"],
    dimensions: int,
) -> bool:
    """Whether images come back so closely that their fixed point lies below the whole grid.

    Images that a generator made and that were stored as they are do, to the last digit.
    """
    sides = (residual + variances * degrees).mean(0) / dimensions
    return bool((sides < variances).all())


def profile_variance(mse: Float64[np.ndarray, " images"]) -> FittedVariance:
    """The papers' estimate [IP B.3], the mean of the reconstructions' mean squared errors.

    It is low by the factor 1 - d/D of a linear model. ``degrees`` is nan: it counts none.

    Raises:
        ValueError: if there is no error, or their mean is not positive and finite.
    """
    value = float(mse.mean()) if len(mse) else math.nan
    if not (math.isfinite(value) and value > 0):
        raise ValueError(
            f"the mean squared errors of {len(mse)} images average to {value}: a noise variance "
            "needs at least one image and a positive, finite mean"
        )
    return _with_interval(value, mse / value - 1, math.nan)


def _with_interval(value: float, influence: np.ndarray, degrees: float) -> FittedVariance:
    """A variance with Student's interval of its logarithm, from what each image adds to that."""
    n = len(influence)
    if n == 1:
        return FittedVariance(value, math.nan, math.nan, math.nan, degrees, n)
    error = float(influence.std(ddof=1) / math.sqrt(n))
    half = float(stats.t.ppf(0.975, n - 1)) * error
    return FittedVariance(value, value * math.exp(-half), value * math.exp(half), error, degrees, n)
