"""The posterior's modes: multi-restart inversion of the MAP objective, then Levenberg-Marquardt."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from .bank import Bank
from .calls import Calls, Kind, evaluations
from .generators.protocol import Generator
from .polish import polish, polish_calls
from .posterior import Posterior
from .samplers.noise import Stream
from .search import PROBES, best_distinct, descended, descent_calls, round_calls, starts
from .settings.guided import GuidedSettings


@dataclass(frozen=True)
class Modes:
    """Points of each image, -ln p(x, z) there up to a constant, and J^T J / variance there.

    The curvature's eigenpairs are as in `Curvature`.
    """

    latent: Float[Tensor, "images modes latent"]
    negative_log_joint: Float64[Tensor, "images modes"]
    directions: Float[Tensor, "images modes latent rank"]
    eigenvalue: Float64[Tensor, "images modes rank"]

    @property
    def log_evidence(self) -> Float64[Tensor, "images modes"]:
        """Laplace's ln of each mode's share of p(x), up to a constant; -inf where not finite."""
        value = -self.negative_log_joint - 0.5 * torch.log1p(self.eigenvalue).sum(-1)
        return value.nan_to_num(nan=-math.inf, posinf=-math.inf, neginf=-math.inf)

    def images(self, rows: Bool[Tensor, " images"]) -> "Modes":
        """The modes of some of the images."""
        return Modes(*(getattr(self, field.name)[rows] for field in fields(self)))

    def order(self, index: Int64[Tensor, "images kept"]) -> "Modes":
        """Each image's modes of these numbers."""
        return Modes(
            torch.take_along_dim(self.latent, index[..., None], 1),
            torch.take_along_dim(self.negative_log_joint, index, 1),
            torch.take_along_dim(self.directions, index[..., None, None], 1),
            torch.take_along_dim(self.eigenvalue, index[..., None], 1),
        )

    def joined(self, other: "Modes") -> "Modes":
        """The modes of both, for the same images."""
        names = [field.name for field in fields(self)]
        return Modes(*(torch.cat([getattr(self, name), getattr(other, name)], 1) for name in names))


class Search(NamedTuple):
    """What a search found: its ``modes``, in any order, and the least error that it met.

    ``evaluations`` are calls of the generator per image, a candidate's and a product with J counted
    as much as a gradient's. ``least_error`` is the least mean squared error, over an image's values
    on [0, 1], of the restarts' ends, the known points and the polished modes; infinite where no
    error is finite.
    """

    modes: Modes
    evaluations: int
    least_error: Float64[Tensor, " images"]


def find_modes(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    variance: float,
    settings: GuidedSettings,
    seeds: Sequence[int],
    number: int = 0,
    known: Float[Tensor, "images known latent"] | None = None,
    bank: Bank | None = None,
) -> Search:
    """Local minima of |x - G(z)|^2 / (2 variance) + |z|^2 / 2.

    A generator that normalises its latent is flat along the radius: this objective then has its
    minimum at the origin, where the posterior has no mass. There the search is confined to the
    sphere of radius sqrt(d - 1), the most probable one.

    Args:
        generator: G.
        images: x, on [0, 1].
        condition: the class G is given for each image; None for an unconditional generator.
        variance: sigma^2 on [0, 1].
        settings: of the search, what `GuidedMethod` says of it included.
        seeds: one per image; an image's numbers depend on its own seed and ``number`` alone.
        number: of the search, where an image is searched repeatedly.
        known: points to polish along with those found, such as an inversion's latents.
        bank: where the settings ask for one, the generator's, to share it with other calls.

    Returns:
        The best of the restarts' ends and of the known points, polished.

    Raises:
        ValueError: the settings ask for a bank of fewer latents than restarts.
    """
    method, stream = settings.method, (Stream.MODES, number)
    posterior = Posterior(generator, images, condition, variance)
    posterior.confine()
    start = starts(posterior, generator, images, condition, settings, seeds, stream, bank)
    found = _ends(posterior, start, settings)
    if known is not None:
        found = torch.cat([found, known.to(found)], 1)
    found = posterior.place(found)
    ranked, values = best_distinct(posterior, found, found.shape[1], method.separation)
    modes, products = polished(posterior, ranked, values, settings)
    points = 0 if known is None else known.shape[1]
    return Search(
        modes,
        search_evaluations(settings, points, products),
        least_error(ranked, values, modes, 2 * variance / images[0].numel()),
    )


def polished(
    posterior: Posterior,
    ranked: Float[Tensor, "images points latent"],
    values: Float[Tensor, "images points"],
    settings: GuidedSettings,
) -> tuple[Modes, int]:
    """The best of the points, polished, and the products that a Jacobian took.

    Args:
        posterior: what has these ``values`` there.
        ranked: points, an image's best first.
        values: of them.
        settings: of the search.
    """
    kept = settings.method.modes
    latent, value, curvature = polish(
        posterior,
        ranked[:, :kept],
        values[:, :kept],
        settings.polish,
        settings.method.jacobian_bytes,
    )
    shape = latent.shape[:2]
    modes = Modes(
        latent,
        value,
        curvature.directions.unflatten(0, shape),
        curvature.eigenvalue.unflatten(0, shape),
    )
    return modes, curvature.products


def least_error(
    latent: Float[Tensor, "images points latent"],
    values: Float[Tensor, "images points"],
    modes: Modes,
    scale: float,
) -> Float64[Tensor, " images"]:
    """The least mean squared error of each image's points, of these values, and of its modes.

    It is ``scale`` times the data term of the objective: 2 variance / pixels.
    """
    misfit = torch.minimum(
        _least_misfit(latent, values), _least_misfit(modes.latent, modes.negative_log_joint)
    )
    return misfit * scale


def search_evaluations(settings: GuidedSettings, known: int, products: int) -> int:
    """Evaluations of the generator for an image: those of `search_calls`, all counted alike."""
    return evaluations(search_calls(settings, known, products))


def search_calls(settings: GuidedSettings, known: int, products: int) -> list[Calls]:
    """Calls of the generator for an image whose search also judges ``known`` points.

    The Jacobian of a point takes so many ``products``. A bank is decoded once for all images and
    does not count.
    """
    ends = settings.restarts
    calls = [Calls(Kind.IMAGES, PROBES, 1), *round_calls(settings)]
    if settings.final_iterations:
        calls.append(Calls(Kind.IMAGES, 1, ends))
        ends = min(settings.finalists, settings.restarts)
        calls += descent_calls(ends, settings.final_iterations)
    found = ends + known
    polished = min(settings.method.modes, found)
    calls.append(Calls(Kind.IMAGES, 1, found))
    return calls + polish_calls(settings.polish, products, polished)


def _ends(posterior: Posterior, start: Tensor, settings: GuidedSettings) -> Tensor:
    """Where the restarts' descents end, or the finalists' of them where there is such a round."""
    method = settings.method
    found = posterior.place(descended(posterior, start, settings.iterations, method))
    if settings.final_iterations:
        finalists, _ = best_distinct(posterior, found, settings.finalists, method.separation)
        unheated = replace(method, heat=1.0)
        found = descended(posterior, finalists, settings.final_iterations, unheated)
    return found


def _least_misfit(latent: Tensor, value: Tensor) -> Tensor:
    """The least |x - G(z)|^2 / (2 variance) of each image's points, whose values are known."""
    misfit = value - 0.5 * latent.square().sum(-1)
    return misfit.nan_to_num(nan=math.inf).amin(1).clamp(min=0)
