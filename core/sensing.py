"""Compressed sensing with a generator's prior [HU 2.2]: images from a few random measurements.

y = M x + e, with M_ij ~ N(0, 1/m) and e ~ N(0, noise^2 I). The restored image is G(z) at the MAP

    argmin_z |y - M G(z)|^2 / (2 noise^2) + |z|^2 / 2,

which is Eq. 3 of the paper; its Eq. 4 drops the prior's sign and the halves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from .batch import check_batch
from .descent import descend
from .fixed_rows import in_blocks
from .generators.protocol import Generator
from .posterior import is_scale_invariant
from .row_limit import Block, limit_of
from .samplers.noise import Stream, item_normals
from .settings.sensing import SensingSettings

# Measured at once, always.
_ROWS_AT_ONCE = 32
_DOUBLE = torch.empty(0, dtype=torch.float64)


@dataclass(frozen=True)
class Restoration:
    """What each restart of each image came to.

    ``restart_objective`` is the minimised sum; ``restart_mse`` the mean squared error on [0, 1] to
    the image that was measured, which no restart knew.
    """

    restart_latent: Float[Tensor, "images restarts latent"]
    restart_objective: Float64[Tensor, "images restarts"]
    restart_mse: Float64[Tensor, "images restarts"]

    @property
    def chosen(self) -> Int[Tensor, " images"]:
        """The restart of the smallest objective: what a user of the measurements would take."""
        return self.restart_objective.argmin(1)

    @property
    def oracle(self) -> Int[Tensor, " images"]:
        """The restart nearest to the truth, which no user could know: a bound, not a result."""
        return self.restart_mse.nan_to_num(nan=math.inf).argmin(1)


def measurement_matrix(
    seed: int, measurements: int, dimensions: int
) -> Float64[Tensor, "measurements dimensions"]:
    """M with independent entries N(0, 1/m).

    Matrices of the same seed are nested: up to the scale 1/sqrt(m), a smaller one is the first rows
    of a larger one, so that a curve over m is not blurred by a new draw at each point.

    Raises:
        ValueError: unless 1 <= measurements <= dimensions.
    """
    if not 1 <= measurements <= dimensions:
        raise ValueError(
            f"{measurements} measurements of images with {dimensions} values: choose 1 to "
            f"{dimensions}"
        )
    shape = (measurements, dimensions)
    normals = item_normals([seed], (Stream.MEASUREMENT_MATRIX,), shape, _DOUBLE)[0]
    return normals / math.sqrt(measurements)


def measure(
    images: Float[Tensor, "images channels height width"],
    matrix: Float64[Tensor, "measurements dimensions"],
    noise: float,
    seeds: Sequence[int],
) -> Float64[Tensor, "images measurements"]:
    """Y = M x + e of each image, e ~ N(0, noise^2) from its own seed."""
    errors = item_normals(seeds, (Stream.MEASUREMENT_NOISE,), (len(matrix),), _DOUBLE)
    used = matrix.to(images.device)
    exact = in_blocks(lambda rows: rows @ used.T, images.double().flatten(1), _ROWS_AT_ONCE)
    return exact + noise * errors.to(images.device)


def sensing_objective(
    generator: Generator,
    latent: Float[Tensor, "rows latent"],
    condition: Int[Tensor, " rows"] | None,
    observed: Float[Tensor, "rows measurements"],
    matrix: Float[Tensor, "measurements dimensions"],
    noise: float,
) -> Float[Tensor, " rows"]:
    """|y - M G(z)|^2 / (2 noise^2) + |z|^2 / 2 of each row: -ln p(z|y) up to a constant."""
    images = generator(latent, condition).flatten(1)
    residual = observed - in_blocks(lambda rows: rows @ matrix.T, images, _ROWS_AT_ONCE)
    return residual.square().sum(1) / (2 * noise**2) + 0.5 * latent.square().sum(1)


def restore(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    matrix: Float64[Tensor, "measurements dimensions"],
    settings: SensingSettings,
    seeds: Sequence[int],
) -> Restoration:
    """Measures each image and restores it from its measurements alone.

    A generator that normalises its latent is flat along the radius, and the objective has its
    infimum at the origin: there the search stays on the sphere of radius sqrt(d - 1), the most
    probable one, where the prior is a constant.

    Args:
        generator: G.
        images: x, on [0, 1], in the dtype and on the device of the generator.
        condition: the class G is given for each image; None for an unconditional generator.
        matrix: M.
        settings: of the optimisation, and the measurements' noise.
        seeds: one per image; an image's numbers depend on its own seed alone.

    Raises:
        ValueError: if lengths or shapes disagree.
    """
    check_batch(generator, images, condition, seeds)
    restarts = settings.restarts
    shape = (restarts, generator.latent_dim)
    drawn = item_normals(seeds, (Stream.SENSING,), shape, images)
    measured = measure(images, matrix, settings.noise, seeds).to(images)
    limit = limit_of(generator)
    typical = math.sqrt(generator.latent_dim - 1)
    confined = is_scale_invariant(generator, drawn[:, 0], condition)
    used = matrix.to(images)

    def place(rows: Tensor) -> Tensor:
        return rows * (typical / rows.norm(dim=-1, keepdim=True)) if confined else rows

    def labels(block: Block, points: int) -> Tensor | None:
        return None if condition is None else condition[block.images].repeat_interleave(points)

    def objective(
        latent: Tensor,
        progress: float,  # noqa: ARG001
        block: Block,
    ) -> tuple[Tensor, Tensor]:
        points = latent.shape[1]
        rows, observed = latent.flatten(0, 1), measured[block.images].repeat_interleave(points, 0)
        value = sensing_objective(
            generator, place(rows), labels(block, points), observed, used, settings.noise
        ).view(latent.shape[:2])
        return value, value

    found, best = descend(objective, drawn, settings.iterations, settings.learning_rate, limit)
    latent = place(found)

    @torch.no_grad()
    def error(block: Block) -> tuple[Tensor, ...]:
        rows = latent[block]
        restored = generator(rows.flatten(0, 1), labels(block, rows.shape[1]))
        difference = restored.unflatten(0, rows.shape[:2]).double()
        difference -= images[block.images, None].double()
        return (difference.square_().flatten(2).mean(2),)

    (restart_mse,) = limit.over(len(images), restarts, error)
    return Restoration(
        restart_latent=latent, restart_objective=best.double(), restart_mse=restart_mse
    )
