"""The posterior's modes: multi-restart inversion of the MAP objective, then Levenberg-Marquardt."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from .curvature import Curvature, gauss_newton
from .descent import descend
from .generators.protocol import Generator
from .samplers.noise import Stream, item_normals

_SAME_IMAGES = 1e-3
_HEATED_PART = 0.6
# Levenberg-Marquardt's damping at first, in units of the prior's precision, and its changes tried.
_FIRST_DAMPING = 1.0
_DAMPING_FACTORS = (0.1, 1.0, 10.0)
_STEPS_PER_CURVATURE = 4
# Calls that tell whether the generator normalises its latent.
_PROBES = 2


@dataclass(frozen=True)
class ModeSettings:
    """Settings of the search for modes.

    Each of ``restarts`` begins at the best of ``candidates`` latents drawn from N(0, s^2 I) and
    descends for ``iterations`` steps of Adam, its rate falling to 0 as a cosine. From the first
    restart to the last, s grows from 1 to ``widest`` and the first rate from ``learning_rate`` to
    ``fastest``: the model's own images want careful descents from the prior, while an outlier's
    modes lie far out. The variance begins at a third of ``heat`` to ``heat`` times its value, which
    smooths the objective, and falls to it as a power over the first 60% of the iterations. The
    best ``modes`` that are ``separation`` posterior standard deviations apart are kept and
    polished: ``polish`` times the curvature is computed, for four Levenberg-Marquardt steps each.
    Adam alone stops tens of nats short in a narrow valley. Derivatives take up to
    ``jacobian_bytes``.
    """

    restarts: int = 24
    candidates: int = 32
    iterations: int = 66
    learning_rate: float = 0.1
    fastest: float = 0.4
    widest: float = 3.5
    heat: float = 30.0
    modes: int = 8
    separation: float = 2.0
    polish: int = 2
    jacobian_bytes: int = 2**28

    def evaluations(self, known: int, products: int) -> int:
        """Calls of the generator for an image whose search also judges ``known`` points.

        A candidate's and each of the ``products`` with J of a point count as much as a gradient's.
        """
        descent = self.restarts * (self.candidates + self.iterations + 1)
        found = self.restarts + known
        steps = self.polish * (_STEPS_PER_CURVATURE * (1 + len(_DAMPING_FACTORS)) + products)
        return _PROBES + descent + found + min(self.modes, found) * (steps + products)


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


def find_modes(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    variance: float,
    settings: ModeSettings,
    seeds: Sequence[int],
    number: int = 0,
    known: Float[Tensor, "images known latent"] | None = None,
) -> tuple[Modes, int]:
    """Local minima of |x - G(z)|^2 / (2 variance) + |z|^2 / 2.

    A generator that normalises its latent is flat along the radius: this objective then has its
    minimum at the origin, where the posterior has no mass. There the search is confined to the
    sphere of radius sqrt(d - 1), the most probable one.

    Args:
        generator: G.
        images: x, on [0, 1].
        condition: the class G is given for each image; None for an unconditional generator.
        variance: sigma^2 on [0, 1].
        settings: of the search.
        seeds: one per image; an image's numbers depend on its own seed and ``number`` alone.
        number: of the search, where an image is searched repeatedly.
        known: points to polish along with those found, such as an inversion's latents.

    Returns:
        The restarts' ends and the known points, polished, in any order; and the calls of the
        generator per image, a candidate's and a product with J counted as much as a gradient's.
    """
    restarts = settings.restarts
    scale = torch.linspace(1.0, settings.widest, restarts)
    pool_shape = (restarts, settings.candidates, generator.latent_dim)
    pool = scale.to(images)[:, None, None] * item_normals(
        seeds, (Stream.MODES, number), pool_shape, images
    )
    posterior = _Posterior(generator, images, condition, variance)
    posterior.confine(pool[:, 0, 0])
    start = _best_candidates(posterior, pool)
    found = _descend(posterior, start, settings)
    if known is not None:
        found = torch.cat([found, known.to(found)], 1)
    latent, value = _best_distinct(posterior, posterior.place(found), settings)
    curvature = posterior.curvature(latent, settings)
    damping = torch.full_like(value, _FIRST_DAMPING)
    for _ in range(settings.polish):
        for _ in range(_STEPS_PER_CURVATURE):
            latent, value, damping = _polish_step(posterior, latent, value, damping, curvature)
        curvature = posterior.curvature(latent, settings)
    shape = latent.shape[:2]
    modes = Modes(
        latent,
        value,
        curvature.directions.unflatten(0, shape),
        curvature.eigenvalue.unflatten(0, shape),
    )
    points = 0 if known is None else known.shape[1]
    return modes, settings.evaluations(points, curvature.products)


def is_scale_invariant(
    generator: Generator,
    latent: Float[Tensor, "images latent"],
    condition: Int[Tensor, " images"] | None,
) -> bool:
    """Whether G(2z) = G(z) at these latents, to a thousandth of the images' spread."""
    with torch.no_grad():
        images = generator(latent, condition)
        change = (generator(2 * latent, condition) - images).abs().amax()
    return bool(change <= _SAME_IMAGES * images.std())


def distinct(near: Bool[Tensor, "images points points"]) -> Bool[Tensor, "images points"]:
    """Which points, each image's in order, are near none of those kept before them."""
    kept = torch.zeros(near.shape[:2], dtype=torch.bool, device=near.device)
    for index in range(near.shape[1]):
        kept[:, index] = ~(near[:, :, index] & kept).any(1)
    return kept


class _Posterior:
    """-ln p(x, z) at several points for each image."""

    def __init__(
        self, generator: Generator, images: Tensor, condition: Tensor | None, variance: float
    ) -> None:
        self._generator = generator
        self._images = images
        self._condition = condition
        self._variance = variance
        self._radius: float | None = None

    def confine(self, probe: Tensor) -> None:
        """Restricts the search to a sphere if the generator turns out to normalise its latent."""
        if is_scale_invariant(self._generator, probe, self._condition):
            self._radius = math.sqrt(probe.shape[-1] - 1)

    def place(self, latent: Tensor) -> Tensor:
        if self._radius is None:
            return latent
        norm: Tensor = latent.norm(dim=-1, keepdim=True)
        return latent * (self._radius / norm)

    def terms(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """|x - G(z)|^2 / (2 variance) and |z|^2 / 2 at points [images, points, latent]."""
        placed = self.place(latent)
        misfit = self._residual(placed).square().sum(2) / (2 * self._variance)
        return misfit, 0.5 * placed.square().sum(2)

    def value_and_distance(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """The value at each point, and |G(a) - G(b)|^2 / variance + |a - b|^2 of each two."""
        residual = self._residual(latent) / math.sqrt(self._variance)
        place = torch.cat([residual, latent], 2)
        # Not by a matrix product, whose rounding is larger than the distance of near-duplicates.
        mode = "donot_use_mm_for_euclid_dist"
        distance = torch.cdist(place, place, compute_mode=mode).square()
        value: Tensor = 0.5 * (residual.square().sum(2).double() + latent.square().sum(2))
        return value, distance

    def _residual(self, latent: Tensor) -> Tensor:
        images, points, _ = latent.shape
        decoded = self._generator(latent.flatten(0, 1), self._labels(points))
        return decoded.view(images, points, -1) - self._images.flatten(1)[:, None]

    @torch.no_grad()
    def value(self, latent: Tensor) -> Tensor:
        misfit, prior = self.terms(latent)
        value: Tensor = misfit.double() + prior
        return value

    def gradient(self, latent: Tensor) -> Tensor:
        with torch.enable_grad():
            points = latent.detach().requires_grad_()
            misfit, prior = self.terms(points)
            total = misfit.sum() + prior.sum()
        (gradient,) = torch.autograd.grad(total, points)
        return gradient

    def curvature(self, latent: Tensor, settings: ModeSettings) -> Curvature:
        points, labels = latent.flatten(0, 1), self._labels(latent.shape[1])
        return gauss_newton(
            self._generator, points, labels, self._variance, settings.jacobian_bytes
        )

    def _labels(self, points: int) -> Tensor | None:
        return None if self._condition is None else self._condition.repeat_interleave(points)


@torch.no_grad()
def _best_candidates(posterior: _Posterior, pool: Tensor) -> Tensor:
    """For each restart [images, restarts, latent] its own candidate of the best objective."""
    values = torch.stack([posterior.value(candidates) for candidates in pool.unbind(2)], 2)
    best = values.nan_to_num(nan=math.inf).argmin(2)
    return torch.take_along_dim(pool, best[..., None, None], 2)[:, :, 0]


@torch.no_grad()
def _best_distinct(
    posterior: _Posterior, latent: Tensor, settings: ModeSettings
) -> tuple[Tensor, Tensor]:
    """The best points [images, modes, latent], those near a better one after all others.

    Their distance is measured by their images, which stands for the curvature between them and
    costs no derivatives.
    """
    value, distance = posterior.value_and_distance(latent)
    order = value.nan_to_num(nan=math.inf).argsort(dim=1, stable=True)
    distance = torch.take_along_dim(distance, order[:, :, None], 1)
    distance = torch.take_along_dim(distance, order[:, None], 2)
    kept = distinct(distance < settings.separation**2)
    first = (~kept).int().argsort(dim=1, stable=True)[:, : settings.modes]
    chosen = torch.take_along_dim(order, first, 1)
    return (
        torch.take_along_dim(latent, chosen[..., None], 1),
        torch.take_along_dim(value, chosen, 1),
    )


def _descend(posterior: _Posterior, start: Tensor, settings: ModeSettings) -> Tensor:
    images, restarts = start.shape[:2]
    rates = torch.logspace(
        math.log10(settings.learning_rate), math.log10(settings.fastest), restarts
    ).repeat(images)
    heats = math.log(max(settings.heat / 3, 1.0)), math.log(settings.heat)
    log_heat = torch.linspace(*heats, restarts).to(start)

    def objective(rows: Tensor, progress: float) -> tuple[Tensor, Tensor]:
        misfit, prior = posterior.terms(rows.view_as(start))
        heat = torch.exp(log_heat * max(0.0, 1 - progress / _HEATED_PART))
        return (misfit / heat + prior).flatten(), (misfit + prior).flatten()

    rows, _ = descend(objective, start.flatten(0, 1), settings.iterations, rates)
    return rows.view_as(start)


def _polish_step(
    posterior: _Posterior, latent: Tensor, value: Tensor, damping: Tensor, curvature: Curvature
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
        flat = (1 + trial)[..., None]
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
