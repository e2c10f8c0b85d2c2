"""The posterior of a latent given an image, at several points for each of a batch of images."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .curvature import Curvature, StartVectors, gauss_newton
from .generators.protocol import Generator

Points = Float[Tensor, "images points latent"]
Values = Float[Tensor, "images points"]

_SAME_IMAGES = 1e-3


class Posterior:
    """-ln p(x, z) up to a constant, natural log, at several latents [images, points, latent].

    Args:
        generator: G.
        images: x [images, channels, height, width], on [0, 1].
        condition: the class G is given for each image; None for an unconditional generator.
        variance: sigma^2 on [0, 1].
    """

    def __init__(
        self, generator: Generator, images: Tensor, condition: Tensor | None, variance: float
    ) -> None:
        self._generator = generator
        self._images = images
        self._condition = condition
        self._variance = variance
        self._radius: float | None = None
        self._start = StartVectors()

    def confine(self, probe: Tensor) -> None:
        """Restricts the search to a sphere if the generator turns out to normalise its latent."""
        if is_scale_invariant(self._generator, probe, self._condition):
            self._radius = math.sqrt(probe.shape[-1] - 1)

    def place(self, latent: Points) -> Points:
        """The points themselves, or those on the sphere that the search is confined to."""
        if self._radius is None:
            return latent
        norm: Tensor = latent.norm(dim=-1, keepdim=True)
        return latent * (self._radius / norm)

    def terms(self, latent: Points) -> tuple[Values, Values]:
        """|x - G(z)|^2 / (2 variance) and |z|^2 / 2 at each point."""
        placed = self.place(latent)
        misfit = self._residual(placed).square().sum(2) / (2 * self._variance)
        return misfit, 0.5 * placed.square().sum(2)

    def value_and_distance(
        self, latent: Points
    ) -> tuple[Values, Float[Tensor, "images points points"]]:
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
        return decoded.reshape(images, points, -1) - self._images.flatten(1)[:, None]

    @torch.no_grad()
    def value(self, latent: Points) -> Values:
        """The value at each point, in float64."""
        misfit, prior = self.terms(latent)
        value: Tensor = misfit.double() + prior
        return value

    def gradient(self, latent: Points) -> Points:
        """The value's gradient at each point."""
        with torch.enable_grad():
            points = latent.detach().requires_grad_()
            misfit, prior = self.terms(points)
            total = misfit.sum() + prior.sum()
        (gradient,) = torch.autograd.grad(total, points)
        return gradient

    def curvature(self, latent: Points, max_bytes: int) -> Curvature:
        """J^T J / variance at each point, one image's after the other's (see `gauss_newton`)."""
        points, labels = latent.flatten(0, 1), self._labels(latent.shape[1])
        start = self._start
        return gauss_newton(self._generator, points, labels, self._variance, max_bytes, start)

    def _labels(self, points: int) -> Tensor | None:
        return None if self._condition is None else self._condition.repeat_interleave(points)


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
