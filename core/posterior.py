"""The posterior of a latent given an image, at several points for each of a batch of images."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .curvature import Curvature, StartVectors, gauss_newton
from .generators.protocol import Generator
from .row_limit import Block, limit_of
from .samplers.noise import Stream, item_normals

Points = Float[Tensor, "images points latent"]
Values = Float[Tensor, "images points"]

_ALL = slice(None)

_SAME_IMAGES = 1e-3
_FEWEST_PROBES = 8
_PIXELS_AT_ONCE = 2**16


class Posterior:
    """-ln p(x, z) up to a constant, natural log, at several latents [images, points, latent].

    Without the prior it is -ln p(x|z), the squared error in another unit.

    ``limit`` is the generator's, of the points that are computed at once; ``variance`` and
    ``precision`` are as given.

    Args:
        generator: G.
        images: x [images, channels, height, width], on [0, 1].
        condition: the class G is given for each image; None for an unconditional generator.
        variance: sigma^2 on [0, 1].
        precision: of the latent's prior, 1 or, where the prior is left out, 0.
    """

    def __init__(
        self,
        generator: Generator,
        images: Tensor,
        condition: Tensor | None,
        variance: float,
        precision: float = 1.0,
    ) -> None:
        self.precision = precision
        self._generator = generator
        self.limit = limit_of(generator)
        self._images = images
        self._condition = condition
        self.variance = variance
        self._radius: float | None = None
        self._start = StartVectors()

    def confine(self, measured: Generator | None = None) -> None:
        """Restricts the search to a sphere if the generator turns out to normalise its latent.

        Where G is what is ``measured`` of another generator, its images tell.
        """
        generator = measured or self._generator
        if is_scale_invariant(generator, self._images, self._condition):
            self._radius = math.sqrt(generator.latent_dim - 1)

    def without_prior(self) -> "Posterior":
        """The same, confined likewise, but for the latent's prior."""
        found = Posterior(self._generator, self._images, self._condition, self.variance, 0.0)
        found._radius = self._radius
        return found

    @property
    def confined(self) -> bool:
        """Whether the search is restricted to a sphere."""
        return self._radius is not None

    def place(self, latent: Points) -> Points:
        """The points themselves, or those on the sphere that the search is confined to."""
        if self._radius is None:
            return latent
        norm: Tensor = latent.norm(dim=-1, keepdim=True)
        return latent * (self._radius / norm)

    def terms(self, latent: Points, images: slice = _ALL) -> tuple[Values, Values]:
        """|x - G(z)|^2 / (2 variance) and |z|^2 / 2 at each point of some of the images, at once.

        Memory that does not suffice is an error here: whoever differentiates the terms asks for
        them block by block.
        """
        placed = self.place(latent)
        misfit = self._residual(placed, images).square().sum(2) / (2 * self.variance)
        return misfit, 0.5 * self.precision * placed.square().sum(2)

    def value_and_distance(
        self, latent: Points
    ) -> tuple[Values, Float[Tensor, "images points points"]]:
        """The value at each point, and |G(a) - G(b)|^2 / variance + |a - b|^2 of each two.

        Whole images at a time: of one, those of all points are needed together.
        """
        images, points = latent.shape[:2]

        @torch.no_grad()
        def computed() -> tuple[Tensor, Tensor]:
            at_once = max(1, min(images, self.limit.rows // points))
            parts = [
                self._value_and_distance(latent[chosen], chosen)
                for chosen in (slice(start, start + at_once) for start in range(0, images, at_once))
            ]
            values, distances = zip(*parts, strict=True)
            return torch.cat(values), torch.cat(distances)

        return self.limit.attempt(images * points, computed)

    def _value_and_distance(self, latent: Tensor, images: slice) -> tuple[Tensor, Tensor]:
        residual = self._residual(latent, images).div_(math.sqrt(self.variance))
        value = 0.5 * self.precision * latent.square().sum(2).double()
        distance = _squared_distances(latent)
        # Large images of all points are large: what is made of them is made of parts.
        for part in residual.split(_PIXELS_AT_ONCE, 2):
            value += 0.5 * part.square().sum(2).double()
            distance += _squared_distances(part)
        return value, distance

    def _residual(self, latent: Tensor, images: slice) -> Tensor:
        points = latent.shape[1]
        decoded = self._generator(latent.flatten(0, 1), self._labels(points, images))
        return decoded.reshape(*latent.shape[:2], -1) - self._images[images].flatten(1)[:, None]

    @torch.no_grad()
    def value(self, latent: Points) -> Values:
        """The value at each point, in float64."""

        def computed(block: Block) -> tuple[Tensor, ...]:
            misfit, prior = self.terms(latent[block], block.images)
            return (misfit.double() + prior,)

        (value,) = self.limit.over(latent.shape[0], latent.shape[1], computed)
        return value

    def gradient(self, latent: Points) -> Points:
        """The value's gradient at each point."""

        def computed(block: Block) -> tuple[Tensor, ...]:
            with torch.enable_grad():
                points = latent[block].detach().requires_grad_()
                misfit, prior = self.terms(points, block.images)
                total = misfit.sum() + prior.sum()
            return torch.autograd.grad(total, points)

        (gradient,) = self.limit.over(latent.shape[0], latent.shape[1], computed)
        return gradient

    def curvature(self, latent: Points, max_bytes: int) -> Curvature:
        """J^T J / variance at each point, one image's after the other's (see `gauss_newton`)."""
        points, labels = latent.flatten(0, 1), self._labels(latent.shape[1], _ALL)
        start = self._start
        return gauss_newton(self._generator, points, labels, self.variance, max_bytes, start)

    def _labels(self, points: int, images: slice) -> Tensor | None:
        if self._condition is None:
            return None
        return self._condition[images].repeat_interleave(points)


def _squared_distances(points: Tensor) -> Tensor:
    """Of each two of the points [images, points, coordinates].

    Not by a matrix product, whose rounding is larger than the distance of near-duplicates.
    """
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(points, points, compute_mode=mode).square()


@torch.no_grad()
def is_scale_invariant(
    generator: Generator, images: Tensor, condition: Int[Tensor, " images"] | None
) -> bool:
    """Whether G(2z) = G(z), each image to a thousandth of its own spread, at latents of its own.

    There are as many as ``images``, `_FEWEST_PROBES` at least, of the images' classes, and the same
    whatever the images: points that a search has found may lie where any G is flat. With one latent
    the sphere would be two points.
    """
    if generator.latent_dim == 1:
        return False
    number = max(len(images), _FEWEST_PROBES)
    shape = (generator.latent_dim,)
    latent = item_normals(range(number), (Stream.PROBES,), shape, images)
    labels = None
    if condition is not None:
        labels = condition[torch.arange(number, device=condition.device) % len(condition)]
    probed = generator(latent, labels).flatten(1)
    change = (generator(2 * latent, labels).flatten(1) - probed).abs().amax(1)
    return bool((change <= _SAME_IMAGES * probed.std(1, correction=0)).all())
