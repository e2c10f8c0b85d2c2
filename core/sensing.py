"""Compressed sensing with a generator's prior [HU 2.2]: images from a few random measurements.

y = M x + e, with M_ij ~ N(0, 1/m) and e ~ N(0, noise^2 I). The restored image is G(z) at the MAP

    argmin_z |y - M G(z)|^2 / (2 noise^2) + |z|^2 / 2,

which is Eq. 3 of the paper; its Eq. 4 drops the prior's sign and the halves.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from .bank import Bank
from .batch import check_batch
from .calls import Calls, Kind
from .fixed_rows import FixedRows, in_blocks
from .generators.class_set import ClassSetGenerator
from .generators.protocol import Generator
from .posterior import Posterior
from .row_limit import Block, LimitedGenerator, limit_of
from .samplers.noise import Stream, item_normals
from .search import ends_calls, number_of_ends, search, starts
from .settings.sensing import SensingSettings

# Measured at once, always.
_ROWS_AT_ONCE = 32
_DOUBLE = torch.empty(0, dtype=torch.float64)


@dataclass(frozen=True)
class Restoration:
    """What each finalist among the restarts of each image came to.

    ``restart_objective`` is the minimised sum; ``restart_mse`` the mean squared error on [0, 1] to
    the image that was measured, which no finalist knew. ``evaluations`` are calls of the generator
    for each image.
    """

    restart_latent: Float[Tensor, "images finalists latent"]
    restart_objective: Float64[Tensor, "images finalists"]
    restart_mse: Float64[Tensor, "images finalists"]
    evaluations: int

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


class MeasuredGenerator:
    """What is measured of a generator's images: M G(z), in the shape [measurements, 1, 1]."""

    def __init__(
        self, generator: Generator, matrix: Float[Tensor, "measurements dimensions"]
    ) -> None:
        self._generator, self._matrix = generator, matrix
        self.image_shape = (len(matrix), 1, 1)

    @property
    def latent_dim(self) -> int:
        """The generator's."""
        return self._generator.latent_dim

    @property
    def num_classes(self) -> int:
        """The generator's."""
        return self._generator.num_classes

    def __call__(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch measurements 1 1"]:
        """M G(z) of each latent."""
        images = self._generator(latent, condition).flatten(1)
        seen = in_blocks(lambda rows: rows @ self._matrix.T, images, _ROWS_AT_ONCE)
        return seen[..., None, None]

    def to(self, device: torch.device) -> "MeasuredGenerator":
        """The same with its weights on ``device``."""
        return MeasuredGenerator(self._generator.to(device), self._matrix.to(device))


def measuring(generator: Generator, matrix: Float[Tensor, "measurements dimensions"]) -> Generator:
    """The generator measured, in the blocks of rows that it computes and within its limit."""
    if isinstance(generator, LimitedGenerator):
        return LimitedGenerator(measuring(generator.unlimited, matrix), generator.limit)
    if isinstance(generator, ClassSetGenerator):
        members = generator.members.items()
        return ClassSetGenerator({number: measuring(each, matrix) for number, each in members})
    if isinstance(generator, FixedRows):
        return FixedRows(measuring(generator.generator, matrix), generator.rows)
    return MeasuredGenerator(generator, matrix)


def restore(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    matrix: Float64[Tensor, "measurements dimensions"],
    settings: SensingSettings,
    seeds: Sequence[int],
    bank: Bank | None = None,
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
        settings: of the search, and the measurements' noise.
        seeds: one per image; an image's numbers depend on its own seed alone.
        bank: where the settings ask for one, the generator's, to share it with other calls.

    Raises:
        ValueError: if lengths or shapes disagree, or the bank has fewer latents than restarts.
    """
    check_batch(generator, images, condition, seeds)
    measurements, dimensions = matrix.shape
    used = matrix.to(images)
    observed = measure(images, matrix, settings.noise, seeds).to(images)[..., None, None]
    # A measured image takes less memory than the generator needs for it.
    method = settings.method_of_rates()
    part = method.jacobian_bytes * measurements // dimensions
    settings = replace(settings, method=replace(method, jacobian_bytes=part))
    posterior = Posterior(measuring(generator, used), observed, condition, settings.noise**2)
    posterior.confine(generator)
    start = starts(
        posterior, generator, observed, condition, settings, seeds, (Stream.SENSING,), bank, used
    )
    found = search(posterior, posterior, start, settings)

    @torch.no_grad()
    def error(block: Block) -> tuple[Tensor, ...]:
        rows = found.latent[block]
        points = rows.shape[1]
        labels = None if condition is None else condition[block.images].repeat_interleave(points)
        restored = generator(rows.flatten(0, 1), labels)
        difference = restored.unflatten(0, rows.shape[:2]).double()
        difference -= images[block.images, None].double()
        return (difference.square_().flatten(2).mean(2),)

    ends = found.latent.shape[1]
    (restart_mse,) = limit_of(generator).over(len(images), ends, error)
    return Restoration(
        restart_latent=found.latent,
        restart_objective=found.value,
        restart_mse=restart_mse,
        evaluations=found.evaluations + ends,
    )


def sensing_calls(settings: SensingSettings, products: int) -> list[Calls]:
    """Calls of the generator for an image, the Jacobian of a point in so many ``products``."""
    return [*ends_calls(settings, products), Calls(Kind.IMAGES, 1, number_of_ends(settings))]
