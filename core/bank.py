"""A bank of latents, drawn once for a class, that the searches of all of its images start from.

Decoding it is what costs, and every image of the class shares that: to an image, a good start among
a hundred thousand is worth the few products that find it. What is kept of a latent is not its image
but the image's coordinates in a small basis, so that a bank takes the same memory whatever the size
of the images, but for the basis: at 1,024 pixels that is 400 MB by itself.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float16, Int
from torch import Tensor

from .fixed_rows import in_blocks
from .generators.protocol import Generator
from .samplers.noise import Stream, item_normals

# Latents of all classes together: with more classes than this has room for, each has fewer.
_MOST_TOGETHER = 1_000_000
# Directions of a basis; where images are so large that a first block has fewer (256 pixels and
# more), as many as it has. On `fashion` a shortlist of 300 by 128 of them held 99% of the best 75.
_DIRECTIONS = 128
_FEWEST_AT_ONCE = 32
_MOST_AT_ONCE = 4096
# Numbers that a block of decoded images may hold.
_BLOCK_NUMBERS = 2**23
# Images that are compared with all latents at once.
_IMAGES_AT_ONCE = 8
_KEPT_BYTES = 2**29
# The bank's widths in an even order: those of any of its first entries are evenly spread.
_GOLDEN = 0.618033988749895


@dataclass(frozen=True)
class _Sketch:
    """What is kept of the images of a class's bank.

    ``coordinates`` are theirs in ``basis``, ``squares`` their own squared norms and
    ``latent_squares`` those of the latents; a squared norm is infinite where an image is not
    finite.
    """

    basis: Float[Tensor, "directions pixels"]
    coordinates: Float16[Tensor, "size directions"]
    squares: Float[Tensor, " size"]
    latent_squares: Float[Tensor, " size"]

    @property
    def bytes(self) -> int:
        """Its memory."""
        parts = self.basis, self.coordinates, self.squares, self.latent_squares
        return sum(part.nbytes for part in parts)


class Bank:
    """Latents of every class, the same for whatever images they are asked for.

    They are z = s e, e ~ N(0, I), with s from 1 to ``widest``, and depend on ``seed``, the class
    and the images' size alone: on no image, so that no image is favoured, a model's own as little
    as others. The first so many of a larger bank are a smaller one.

    Args:
        generator: G.
        seed: of the latents.
        most_bytes: memory for what is kept from call to call, half a GiB by default. The classes
            that come first are kept; others are decoded again for every call that asks for them.
    """

    def __init__(self, generator: Generator, seed: int = 0, most_bytes: int | None = None) -> None:
        self._generator = generator
        self._seed = seed
        self._most_bytes = _KEPT_BYTES if most_bytes is None else most_bytes
        self._kept: dict[tuple[int, int, float], _Sketch] = {}
        # How many latents are drawn and decoded together: it depends on the images' size alone.
        pixels = math.prod(generator.image_shape)
        self._at_once = max(_FEWEST_AT_ONCE, min(_MOST_AT_ONCE, _BLOCK_NUMBERS // pixels))

    @property
    def classes(self) -> int:
        """The generator's, 0 for an unconditional one."""
        return self._generator.num_classes

    @torch.no_grad()
    def nearest(
        self,
        images: Float[Tensor, "images channels height width"],
        condition: Int[Tensor, " images"] | None,
        variance: float,
        size: int,
        widest: float,
        kept: int,
        *,
        prior: bool = True,
        matrix: Float[Tensor, "measurements pixels"] | None = None,
    ) -> Float[Tensor, "images kept latent"]:
        """Latents of the smallest |x - G(z)|^2 / (2 variance) + |z|^2 / 2, the smallest first.

        The inner product of x and G(z) is taken in the basis alone, so that the order is a rough
        one: whoever wants the best few asks for more and judges them.

        Args:
            images: x, on [0, 1].
            condition: the class G is given for each image; None for an unconditional generator.
            variance: sigma^2 on [0, 1].
            size: of a class's bank.
            widest: the largest s.
            kept: how many latents of each image, at most ``size``.
            prior: whether |z|^2 / 2 counts.
            matrix: M, where ``images`` are measurements [images, measurements, 1, 1] of images and
                G(z) above is M G(z); what lies outside of the basis counts with its norm.
        """
        flat = images.flatten(1)
        found = flat.new_zeros((len(flat), kept, self._generator.latent_dim))
        for own, rows in _by_class(condition):
            chosen = flat if rows is None else flat[rows]
            sketch = self._sketch(own, size, widest, chosen)
            seen = _seen(sketch, matrix)
            index = _best(sketch, seen, chosen, variance, kept, prior=prior)
            latent = self._gathered(own, widest, index.cpu(), chosen)
            found[slice(None) if rows is None else rows] = latent
        return found

    def _sketch(self, own: int, size: int, widest: float, like: Tensor) -> _Sketch:
        key = (own, size, widest)
        if key in self._kept:
            return self._kept[key]
        sketch = self._decoded(own, size, widest, like)
        if sketch.bytes + sum(each.bytes for each in self._kept.values()) <= self._most_bytes:
            self._kept[key] = sketch
        return sketch

    def _decoded(self, own: int, size: int, widest: float, like: Tensor) -> _Sketch:
        length = self._at_once
        basis: Tensor | None = None
        parts: list[tuple[Tensor, Tensor, Tensor]] = []
        for block, start in enumerate(range(0, size, length)):
            latent = self._latents(own, block, widest, like)[: size - start]
            labels = None if own == 0 else torch.full_like(latent[:, 0], own - 1, dtype=torch.int64)
            images = self._generator(latent, labels).flatten(1)
            finite = images.isfinite().all(1)
            images = images.where(finite[:, None], 0.0)
            if basis is None:
                basis = _basis(images)
            coordinates = (images @ basis.T).half()
            # Too bright for half precision: as far off as an image that is not finite.
            finite &= coordinates.isfinite().all(1)
            squares = images.square().sum(1).where(finite, torch.inf)
            coordinates = coordinates.where(finite[:, None], 0.0)
            parts.append((coordinates, squares, latent.square().sum(1)))
        assert basis is not None
        return _Sketch(basis, *(torch.cat(column) for column in zip(*parts, strict=True)))

    def _latents(self, own: int, block: int, widest: float, like: Tensor) -> Tensor:
        """A block of a class's latents, in the dtype and on the device of ``like``."""
        length = self._at_once
        number = torch.arange(block * length, (block + 1) * length, dtype=torch.float64)
        scale = 1 + (widest - 1) * (number * _GOLDEN).remainder(1)
        shape = (length, self._generator.latent_dim)
        here = torch.empty(0, dtype=like.dtype)
        normals = item_normals([self._seed], (Stream.BANK, own, block), shape, here)[0]
        return (scale[:, None] * normals).to(like)

    def _gathered(self, own: int, widest: float, index: Tensor, like: Tensor) -> Tensor:
        """The latents [images, kept, latent] of these numbers, drawn again: none is kept."""
        length, here = self._at_once, like[:0].cpu()
        found = here.new_zeros((*index.shape, self._generator.latent_dim))
        for block in index.div(length, rounding_mode="floor").unique().tolist():
            inside = (index >= block * length) & (index < (block + 1) * length)
            found[inside] = self._latents(own, block, widest, here)[index[inside] - block * length]
        return found.to(like)


def _by_class(condition: Tensor | None) -> Iterator[tuple[int, Tensor | None]]:
    """Each class's number in the bank, 0 without classes, and the images that have it."""
    if condition is None:
        yield 0, None
        return
    labels = condition.cpu()
    for label in labels.unique().tolist():
        yield label + 1, (labels == label).nonzero()[:, 0].to(condition.device)


def bank_size(wanted: int, classes: int, fewest: int) -> int:
    """The latents of a class's bank: as many as ``wanted``, fewer where there are many classes.

    All classes together have a million, but each has ``fewest`` if so many are wanted.
    """
    return min(wanted, max(fewest, _MOST_TOGETHER // max(1, classes)))


def _basis(images: Tensor) -> Tensor:
    """Orthonormal directions [directions, pixels] that span the first of the images.

    Where there are as few pixels as directions, it is all of them, and the sketch is the image.
    """
    if images.shape[1] <= _DIRECTIONS:
        return torch.eye(images.shape[1]).to(images)
    spanned: Tensor = torch.linalg.qr(images[:_DIRECTIONS].T)[0]
    return spanned.T


def _seen(sketch: _Sketch, matrix: Tensor | None) -> tuple[Tensor, Tensor]:
    """The basis [pixels or measurements, directions] and the squared norms as they are measured."""
    if matrix is None:
        return sketch.basis.T, sketch.squares
    basis = matrix @ sketch.basis.T
    coordinates = sketch.coordinates.to(basis)
    inside = ((coordinates @ (basis.T @ basis)) * coordinates).sum(1)
    # A random matrix keeps norms in the mean; an image that is not finite stays infinite.
    outside = (sketch.squares - coordinates.square().sum(1)).clamp(min=0)
    return basis, inside + outside


def _best(
    sketch: _Sketch,
    seen: tuple[Tensor, Tensor],
    flat: Tensor,
    variance: float,
    kept: int,
    *,
    prior: bool,
) -> Tensor:
    """The numbers [images, kept] of the best latents for images [images, pixels], best first."""
    basis, squares = seen
    constant = squares / (2 * variance)
    if prior:
        constant = constant + 0.5 * sketch.latent_squares
    found = []
    coordinates = sketch.coordinates.to(flat).T

    def product(part: Tensor) -> Tensor:
        return (part @ basis) @ coordinates

    for part in flat.split(_IMAGES_AT_ONCE):
        along = in_blocks(product, part, _IMAGES_AT_ONCE)
        # The image's own norm is the same for all latents.
        value = (constant - along / variance).nan_to_num(nan=torch.inf)
        found.append(value.topk(kept, largest=False).indices)
    return torch.cat(found)
