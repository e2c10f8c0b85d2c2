"""Inversion: the latent whose generated image is nearest to a given one."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from .bank import Bank
from .batch import check_batch
from .calls import Calls, Kind, evaluations
from .descent import descend
from .generators.protocol import Generator
from .posterior import Posterior
from .row_limit import Block, limit_of
from .samplers.noise import Stream
from .search import (
    PROBES,
    Ends,
    best_of,
    descent_calls,
    ends_calls,
    first_rates,
    number_of_ends,
    round_calls,
    search,
    starts,
)
from .settings.inversion import InversionSettings

# Of a weak prior that holds the first descents near to what the generator was made for: the
# variance of the papers' generators, on [0, 1]. The objective has none.
_VARIANCE = 0.01


@runtime_checkable
class Distance(Protocol):
    """A distance between images in [0, 1], one per pair, differentiable in both."""

    def __call__(
        self,
        a: Float[Tensor, "batch channels height width"],
        b: Float[Tensor, "batch channels height width"],
    ) -> Float[Tensor, " batch"]:
        """The distance of each pair."""
        ...


def mean_squared_error(
    a: Float[Tensor, "batch channels height width"], b: Float[Tensor, "batch channels height width"]
) -> Float[Tensor, " batch"]:
    """Mean over an image's values of the squared difference."""
    return (a - b).square().flatten(1).mean(1)


@dataclass(frozen=True)
class Inversion:
    """The best latent found for each image, over all restarts and iterates.

    ``distance`` is what was minimised, at ``latent``; ``restart_distance`` the best of each of the
    finalists among the restarts, at its ``restart_latent``; ``mse`` the mean squared error at
    ``latent`` on [0, 1], whatever the distance, and ``residual`` x - G there. An image for which no
    distance was finite has infinite distances. ``descended`` is the best latent before the polish,
    which follows a valley as far as noise fills it: that one tells how long the latents are that an
    image needs. ``evaluations`` are calls of the generator for each image, a product with the
    Jacobian counted as much as a gradient.
    """

    latent: Float[Tensor, "images latent"]
    descended: Float[Tensor, "images latent"]
    restart_latent: Float[Tensor, "images finalists latent"]
    distance: Float64[Tensor, " images"]
    restart_distance: Float64[Tensor, "images finalists"]
    mse: Float64[Tensor, " images"]
    residual: Float[Tensor, "images channels height width"]
    evaluations: int


def invert(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    settings: InversionSettings,
    seeds: Sequence[int],
    distance: Distance | None = None,
    bank: Bank | None = None,
) -> Inversion:
    """Finds argmin_z distance(x, G(z; c)) for each image, of all images and restarts together.

    Latents have the images' dtype and device, which must be the generator's. The squared error is
    searched as the guided estimator searches: heated descents under a weak prior, which the
    objective lacks, further descents of the best, then Levenberg-Marquardt. Another distance has no
    residuals, so that Adam alone minimises it, from the same starts. The best iterate is kept, not
    the last. A generator that normalises its latent is inverted on the sphere of radius
    sqrt(d - 1).

    Args:
        generator: G.
        images: x, on [0, 1].
        condition: the class G is given for each image; None for an unconditional generator.
        settings: of the search.
        seeds: one per image; an image's numbers depend on its own seed alone.
        distance: what to minimise; the mean squared error by default.
        bank: where the settings ask for one, the generator's, to share it with other calls.

    Raises:
        ValueError: if lengths or shapes disagree, or the bank has fewer latents than restarts.
    """
    check_batch(generator, images, condition, seeds)
    settings = replace(settings, method=settings.method_of_rates())
    held = Posterior(generator, images, condition, _VARIANCE)
    held.confine()
    error = held.without_prior()
    stream = (Stream.INVERSION,)
    start = starts(held, generator, images, condition, settings, seeds, stream, bank)
    if distance is None:
        found = search(held, error, start, settings)
        unit = 2 * _VARIANCE / images[0].numel()
        found = found._replace(value=found.value * unit)
    else:
        found = _by_adam(held, generator, images, condition, settings, distance, start)
    chosen = best_of(found.latent, found.value)
    with torch.no_grad():
        residual = images - generator(chosen, condition)
    mse = residual.square().flatten(1).sum(1, dtype=torch.float64) / residual[0].numel()
    return Inversion(
        latent=chosen,
        descended=found.descended,
        restart_latent=found.latent,
        distance=found.value.amin(1),
        restart_distance=found.value,
        mse=mse,
        residual=residual,
        evaluations=found.evaluations + 1,
    )


def inversion_calls(settings: InversionSettings, products: int, *, polished: bool) -> list[Calls]:
    """Calls of the generator for an image, the Jacobian of a point in so many ``products``.

    ``polished`` says whether the squared error is minimised.
    """
    calls = ends_calls(settings, products) if polished else _adam_calls(settings)
    return [*calls, Calls(Kind.IMAGES, 1, 1)]


def _adam_calls(settings: InversionSettings) -> list[Calls]:
    calls = [Calls(Kind.IMAGES, PROBES, 1), *round_calls(settings)]
    if settings.final_iterations:
        calls += descent_calls(number_of_ends(settings), settings.final_iterations)
    return calls


def _by_adam(
    held: Posterior,
    generator: Generator,
    images: Tensor,
    condition: Tensor | None,
    settings: InversionSettings,
    distance: Distance,
    start: Tensor,
) -> Ends:
    """Where the best restarts' descents of any distance end, where ``held`` has its points."""

    def objective(
        latent: Tensor,
        progress: float,  # noqa: ARG001
        block: Block,
    ) -> tuple[Tensor, Tensor]:
        points = latent.shape[1]
        labels = None if condition is None else condition[block.images].repeat_interleave(points)
        targets = images[block.images].repeat_interleave(points, 0)
        distances = distance(generator(held.place(latent).flatten(0, 1), labels), targets)
        of_points = distances.view(latent.shape[:2])
        return of_points, of_points

    limit, method = limit_of(generator), settings.method

    iterations, kept = settings.iterations, number_of_ends(settings)
    latent, value = descend(
        objective, start, iterations, first_rates(method, start.shape[1]), limit
    )
    best = value.argsort(dim=1, stable=True)[:, :kept]
    latent = held.place(torch.take_along_dim(latent, best[..., None], 1))
    value = value.gather(1, best)
    if settings.final_iterations:
        rates = first_rates(method, kept)
        latent, value = descend(objective, latent, settings.final_iterations, rates, limit)
    latent = held.place(latent)
    return Ends(latent, value.double(), best_of(latent, value), evaluations(_adam_calls(settings)))
