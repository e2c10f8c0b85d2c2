"""Inversion: the latent whose generated image is nearest to a given one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from .batch import check_batch
from .descent import descend
from .generators.protocol import Generator
from .row_limit import Block, limit_of
from .samplers.noise import Stream, item_normals
from .settings.inversion import InversionSettings

_SMALLEST_CHUNK = 256


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

    ``distance`` is what was minimised, at ``latent``; ``restart_distance`` the best of each
    restart, at its ``restart_latent``; ``mse`` the mean squared error at ``latent`` on [0, 1],
    whatever the distance, and ``residual`` x - G there. An image for which no distance was finite
    has infinite distances.
    """

    latent: Float[Tensor, "images latent"]
    restart_latent: Float[Tensor, "images restarts latent"]
    distance: Float64[Tensor, " images"]
    restart_distance: Float64[Tensor, "images restarts"]
    mse: Float64[Tensor, " images"]
    residual: Float[Tensor, "images channels height width"]
    iterations: int


def invert(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    settings: InversionSettings,
    seeds: Sequence[int],
    distance: Distance = mean_squared_error,
) -> Inversion:
    """Finds argmin_z distance(x, G(z; c)) for each image, of all images and restarts together.

    Latents have the images' dtype and device, which must be the generator's. The best iterate is
    kept, not the last; the generator is called ``iterations + 1`` times on the batch of restarts,
    besides the sampling of candidates and the final error.

    Args:
        generator: G.
        images: x, on [0, 1].
        condition: the class G is given for each image; None for an unconditional generator.
        settings: of the optimisation.
        seeds: one per image; an image's numbers depend on its own seed alone.
        distance: what to minimise.

    Raises:
        ValueError: if lengths or shapes disagree.
    """
    check_batch(generator, images, condition, seeds)
    restarts = settings.restarts
    start = _nearest_candidates(generator, images, condition, settings, seeds)

    def objective(
        latent: Tensor,
        progress: float,  # noqa: ARG001
        block: Block,
    ) -> tuple[Tensor, Tensor]:
        points = latent.shape[1]
        labels = None if condition is None else condition[block.images].repeat_interleave(points)
        targets = images[block.images].repeat_interleave(points, 0)
        distances = distance(generator(latent.flatten(0, 1), labels), targets)
        of_points = distances.view(latent.shape[:2])
        return of_points, of_points

    restart_latent, restart_distance = descend(
        objective,
        start.unflatten(0, (len(images), restarts)),
        settings.iterations,
        settings.learning_rate,
        limit_of(generator),
    )
    chosen = restart_latent[torch.arange(len(images)), restart_distance.argmin(1)]
    with torch.no_grad():
        residual = images - generator(chosen, condition)
    mse = residual.square().flatten(1).sum(1, dtype=torch.float64) / residual[0].numel()
    return Inversion(
        latent=chosen,
        restart_latent=restart_latent,
        distance=restart_distance.amin(1).double(),
        restart_distance=restart_distance.double(),
        mse=mse,
        residual=residual,
        iterations=settings.iterations,
    )


@torch.no_grad()
def _nearest_candidates(
    generator: Generator,
    images: Tensor,
    condition: Tensor | None,
    settings: InversionSettings,
    seeds: Sequence[int],
) -> Tensor:
    """For each restart of each image, the latent nearest in l2 of its own sampled candidates.

    Decoded in chunks no larger than what the optimisation decodes anyway.
    """
    shape = (settings.restarts, settings.candidates, generator.latent_dim)
    chunk = max(_SMALLEST_CHUNK, len(images) * settings.restarts)
    chunk = min(chunk, limit_of(generator).rows)
    nearest = []
    for index, seed in enumerate(seeds):
        candidates = item_normals([seed], (Stream.INVERSION,), shape, images)[0]
        errors = []
        for part in torch.split(candidates.flatten(0, 1), chunk):
            labels = None if condition is None else condition[index].expand(len(part))
            residual = generator(part, labels) - images[index]
            errors.append(residual.square_().flatten(1).sum(1, dtype=torch.float64))
        # To argmin a NaN is the least of all numbers.
        best = torch.cat(errors).nan_to_num(nan=math.inf).view(shape[:2]).argmin(1)
        nearest.append(candidates[torch.arange(settings.restarts), best])
    return torch.cat(nearest)
