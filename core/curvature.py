"""The Gauss-Newton curvature J^T J / variance of a generator's images, by its eigenpairs."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from .generators.protocol import Generator
from .row_limit import filled_up_to, limit_of, of_any_rows

_FLOAT_BYTES = 4
# A guess of how much more than its images a generator holds while it is differentiated.
_LAYERS = 8
# Always as many, so that a point's products are computed in the same shape in any company.
_POINTS_AT_ONCE = 64
_OVERSAMPLING = 8
_POWER_ITERATIONS = 1


class Curvature(NamedTuple):
    """Leading eigenpairs of J^T J / variance, J the derivative of the images in the latent.

    All ``latent`` of them where the whole J was affordable, then ``rank`` equals the latent's
    length; what lies outside of them is treated as flat. ``products`` counts the products with J
    or its transpose that each point cost.
    """

    directions: Float[Tensor, "points latent rank"]
    eigenvalue: Float64[Tensor, "points rank"]
    products: int


def jacobian_products(latent_dim: int, pixels: int, max_bytes: int) -> int:
    """Products that `gauss_newton` takes for a point: one a latent, or those of its iterations."""
    affordable = _affordable(pixels, max_bytes)
    if latent_dim <= affordable:
        return latent_dim
    return _vectors(affordable) * (2 + 2 * _POWER_ITERATIONS + 1)


def _affordable(pixels: int, max_bytes: int) -> int:
    """How many images' derivatives fit."""
    return max(1, max_bytes // (_FLOAT_BYTES * pixels))


def _vectors(affordable: int) -> int:
    """Of a subspace iteration."""
    return max(1, affordable - _OVERSAMPLING) + _OVERSAMPLING


class StartVectors:
    """What subspace iterations begin with: the same vectors at every point, from one seed.

    They are drawn once and kept where they are used: a device waits for every copy to it.
    """

    def __init__(self) -> None:
        self._drawn: Tensor | None = None

    def like(self, latent: Float[Tensor, "points latent"], count: int) -> Tensor:
        """So many vectors [count, latent] of the dtype and on the device of ``latent``."""
        if self._drawn is None or len(self._drawn) != count:
            random = torch.Generator().manual_seed(0)
            drawn = torch.randn(count, latent.shape[1], generator=random, dtype=latent.dtype)
            self._drawn = drawn.to(latent.device)
        return self._drawn


def gauss_newton(
    generator: Generator,
    latent: Float[Tensor, "points latent"],
    condition: Int[Tensor, " points"] | None,
    variance: float,
    max_bytes: int,
    start: StartVectors,
) -> Curvature:
    """The curvature of |x - G(z)|^2 / (2 variance) without the second derivatives of G.

    Where the derivatives of one point fit into ``max_bytes`` they are computed whole, in forward
    mode, d products, as many points at once as fit; else the leading eigenpairs come from a
    randomised subspace iteration (Halko, Martinsson & Tropp 2011) of as many vectors as fit. How
    many of these products are computed at once, the generator's limit of rows says as well.

    Args:
        generator: G; must support forward-mode differentiation.
        latent: points.
        condition: a class for each point; None for an unconditional generator.
        variance: sigma^2 on [0, 1].
        max_bytes: memory for the derivatives.
        start: of the subspace iterations; the same for each call.
    """
    pixels = torch.Size(generator.image_shape).numel()
    latent_dim = latent.shape[1]
    affordable = _affordable(pixels, max_bytes)
    products = jacobian_products(latent_dim, pixels, max_bytes)
    limit = limit_of(generator)

    def told(chunks: list[_Chunk]) -> Iterator[_Chunk]:
        for points, labels in chunks:
            limit.evaluating(len(points) * products)
            yield points, labels

    if latent_dim <= affordable:

        def computed() -> list[tuple[Tensor, Tensor]]:
            chunk, at_once = _dense_at_once(generator, affordable, limit.rows)
            return [
                _dense(generator, points, labels, at_once)
                for points, labels in told(_chunks(latent, condition, chunk))
            ]
    else:
        vectors = start.like(latent, _vectors(affordable))

        # A point by itself: it needs no company that fills up its block.
        own = of_any_rows(generator)

        def computed() -> list[tuple[Tensor, Tensor]]:
            rows = min(affordable // _LAYERS, limit.rows)
            return [
                _leading(own, points, labels, vectors, rows)
                for points, labels in told(_chunks(latent, condition, 1))
            ]

    parts = limit.attempt(max(1, affordable // _LAYERS), computed)
    directions = torch.cat([part[0] for part in parts])
    eigenvalue = torch.cat([part[1] for part in parts])
    return Curvature(directions.to(latent), eigenvalue.clamp(min=0) / variance, products)


_Chunk = tuple[Tensor, Tensor | None]


def _chunks(latent: Tensor, condition: Tensor | None, size: int) -> list[_Chunk]:
    points = torch.split(latent, size)
    if condition is None:
        return [(part, None) for part in points]
    return list(zip(points, torch.split(condition, size), strict=True))


def first_columns(
    generator: Generator,
    latent: Float[Tensor, "points latent"],
    condition: Int[Tensor, " points"] | None,
    count: int,
    max_bytes: int,
) -> Float[Tensor, "points columns pixels"]:
    """The first so many columns of each point's J, computed as `gauss_newton` computes all.

    Of as many points as it takes at once, at the most.
    """
    pixels = torch.Size(generator.image_shape).numel()
    limit = limit_of(generator)
    chunk, at_once = _dense_at_once(generator, _affordable(pixels, max_bytes), limit.rows)
    points, labels = _chunks(latent, condition, chunk)[0]
    return _columns(generator, points, labels, at_once, count)


def tried_products(
    generator: Generator,
    latent: Float[Tensor, "points latent"],
    condition: Int[Tensor, " points"] | None,
    max_bytes: int,
) -> Float[Tensor, "columns points pixels"]:
    """A few products of each kind that `gauss_newton` takes, to see whether a generator has them.

    Returns:
        The first two columns of each point's J.

    Raises:
        Exception: of any type, what torch or the generator says where it cannot be done.
    """
    forward = torch.vmap(_forward_product(generator, latent, condition))
    identity = torch.eye(latent.shape[1], dtype=latent.dtype, device=latent.device)
    columns = forward(identity[:2, None].expand(-1, len(latent), -1))
    if latent.shape[1] > _affordable(columns[0, 0].numel(), max_bytes):
        pull_back = torch.func.vjp(lambda points: generator(points, condition), latent)[1]
        torch.vmap(pull_back)(columns)
    return columns.flatten(2)


def _dense_at_once(generator: Generator, affordable: int, rows: int) -> tuple[int, int]:
    """How many points are taken at once, and how many columns of theirs."""
    return _at_once(generator.latent_dim, affordable, rows, filled_up_to(generator))


def _at_once(latent_dim: int, affordable: int, rows: int, block: int) -> tuple[int, int]:
    at_once = max(_POINTS_AT_ONCE, block)
    chunk = max(1, min(affordable // latent_dim, rows, at_once))
    filled = -(-chunk // block) * block
    return chunk, max(1, min(affordable // _LAYERS, rows) // filled)


def jacobian_bytes(
    latent_dim: int, pixels: int, points: int, max_bytes: int, *, rows: int, block: int
) -> int:
    """Memory that `gauss_newton` takes at the most for so many points, as far as it is known.

    The columns, twice where they are laid out for their products, and what the generator holds of
    the rows that are computed at once: a layer's values and their tangents, as guessed above.

    Args:
        latent_dim: length of a latent.
        pixels: numbers in an image.
        points: how many.
        max_bytes: as `gauss_newton` is given it.
        rows: the generator's limit.
        block: what its calls are filled up to.
    """
    affordable = _affordable(pixels, max_bytes)
    if latent_dim > affordable:
        columns = 2 * _vectors(affordable)
        at_once = min(_vectors(affordable), max(1, min(affordable // _LAYERS, rows)))
    else:
        chunk, directions = _at_once(latent_dim, affordable, rows, block)
        held = min(points, chunk)
        columns = 2 * held * latent_dim
        at_once = min(directions, latent_dim) * -(-held // block) * block
    return _FLOAT_BYTES * pixels * (columns + _LAYERS * at_once)


def _dense(
    generator: Generator, latent: Tensor, condition: Tensor | None, at_once: int
) -> tuple[Tensor, Tensor]:
    columns = _columns(generator, latent, condition, at_once, latent.shape[1])
    return _eigenpairs(columns @ columns.mT)


def _columns(
    generator: Generator, latent: Tensor, condition: Tensor | None, at_once: int, count: int
) -> Tensor:
    forward = _forward_product(generator, latent, condition)
    identity = torch.eye(latent.shape[1], dtype=latent.dtype, device=latent.device)
    tangents = identity[:count, None].expand(-1, len(latent), -1)
    return torch.vmap(forward, chunk_size=at_once)(tangents).flatten(2).transpose(0, 1)


def _leading(
    generator: Generator, latent: Tensor, condition: Tensor | None, start: Tensor, rows: int
) -> tuple[Tensor, Tensor]:
    """The leading eigenpairs of J^T J at a single point."""
    rank = len(start) - _OVERSAMPLING
    at_once = max(1, rows)
    forward = torch.vmap(_forward_product(generator, latent, condition), chunk_size=at_once)
    pull_back = torch.func.vjp(lambda points: generator(points, condition), latent)[1]
    basis = torch.linalg.qr(start.mT).Q
    for _ in range(1 + _POWER_ITERATIONS):
        images = forward(basis.mT[:, None])
        (product,) = torch.vmap(pull_back, chunk_size=at_once)(images)
        basis = torch.linalg.qr(product[:, 0].mT).Q
    columns = forward(basis.mT[:, None]).flatten(1)
    mixing, eigenvalue = _eigenpairs(columns @ columns.mT)
    directions = basis.double() @ mixing
    return directions[None, :, -rank:], eigenvalue[None, -rank:]


def _eigenpairs(gram: Tensor) -> tuple[Tensor, Tensor]:
    # One point without finite derivatives must not end its batch: it is taken as flat.
    finite = torch.nan_to_num(gram.double(), nan=0.0, posinf=0.0, neginf=0.0)
    eigenvalue, directions = torch.linalg.eigh(finite)
    return directions, eigenvalue


def _forward_product(
    generator: Generator, latent: Tensor, condition: Tensor | None
) -> Callable[[Tensor], Tensor]:
    """The product J v of each point with its own tangent v [points, latent]."""

    def product(tangent: Tensor) -> Tensor:
        derivative: Tensor = torch.func.jvp(
            lambda points: generator(points, condition), (latent,), (tangent,)
        )[1]
        return derivative

    return product
