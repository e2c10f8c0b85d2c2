"""How many rows a generator is given at once: as many as memory has room for.

A row is a latent: an image x restart, or an image x chain. Searches and chains keep all of their
rows' latents, which are small; what is large is a generator's call and its derivative, and only
that is computed in blocks of rows. A block changes no number beyond rounding, and on a CPU none at
all (see `fixed_rows`).
"""

import math
from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .compilation import Compilation
from .fixed_rows import rows_of_block, without_blocks
from .generators.protocol import Generator

Result = TypeVar("Result")

_UNLIMITED = 1 << 62


class Block(NamedTuple):
    """Some of the rows [images, points]: the same points of a few images."""

    images: slice
    points: slice


class RowLimit:
    """The most rows of a generator that are computed at once.

    ``rows`` is at least 1; it is halved where memory turns out not to suffice, and stays so.
    ``quickest`` are the rows that are differentiated together, within that limit, where more would
    take longer: a few more where they fill calls that are filled up to ``filled`` rows.
    ``evaluating`` is told of the rows of each call that is about to be made, a product with the
    generator's Jacobian counting as one: so somebody knows how far a long computation is, and may
    end it by an exception.
    """

    def __init__(
        self,
        rows: int = _UNLIMITED,
        evaluating: Callable[[int], None] | None = None,
        quickest: int = _UNLIMITED,
        filled: int = 1,
    ) -> None:
        self.rows = max(1, rows)
        self._quickest = quickest
        self._filled = filled
        self._evaluating = evaluating

    def evaluating(self, rows: int) -> None:
        """Tells of a call that is about to be made, or of so many products."""
        if self._evaluating is not None:
            self._evaluating(rows)

    def over(
        self, images: int, points: int, compute: Callable[[Block], tuple[Tensor, ...]]
    ) -> tuple[Tensor, ...]:
        """What ``compute`` gives for all rows, block by block.

        Args:
            images: how many there are.
            points: of each image.
            compute: tensors [images, points, ...] of a block.

        Raises:
            torch.OutOfMemoryError: memory does not suffice for a single row, tried twice.
        """

        def computed() -> tuple[Tensor, ...]:
            if self.at_once(images, points) == (images, points):
                return compute(Block(slice(0, images), slice(0, points)))
            whole: tuple[Tensor, ...] = ()
            for block in self._blocks(images, points):
                parts = compute(block)
                whole = whole or tuple(
                    part.new_empty((images, points, *part.shape[2:])) for part in parts
                )
                for tensor, part in zip(whole, parts, strict=True):
                    tensor[block] = part
            return whole

        return self.attempt(images * points, computed)

    def attempt(self, rows: int, compute: Callable[[], Result]) -> Result:
        """What ``compute`` gives for so many rows, after as many halvings as memory asks for.

        Raises:
            torch.OutOfMemoryError: memory does not suffice for a single row, tried twice.
        """
        single = False
        while True:
            at_once = min(rows, self.rows)
            try:
                return compute()
            except torch.OutOfMemoryError:
                if single:
                    raise
            # Only here have the frames that held the memory been let go of.
            torch.cuda.empty_cache()
            single = at_once == 1
            self.rows = max(1, at_once // 2)

    def at_once(self, images: int, points: int) -> tuple[int, int]:
        """How many images, and points of each, are differentiated together."""
        of_image = max(1, points)
        # So many images' points fill whole calls.
        whole = self._filled // math.gcd(self._filled, of_image)
        quickest = whole * max(1, self._quickest // (whole * of_image))
        fitting = max(1, self.rows // of_image)
        return min(images, quickest, fitting), min(points, self.rows)

    def _blocks(self, images: int, points: int) -> Iterator[Block]:
        images_at_once, at_once = self.at_once(images, points)
        for first in range(0, images, images_at_once):
            for start in range(0, points, at_once):
                last = min(first + images_at_once, images)
                yield Block(slice(first, last), slice(start, min(start + at_once, points)))


class LimitedGenerator:
    """A generator with the limit of its rows, which it keeps by itself but for derivatives.

    ``unlimited`` is the generator. A call that is to be differentiated is made whole: what it keeps
    is let go of only after its derivative, so that whoever takes that asks for the blocks
    (`limit_of`). Chains are compiled where there is a ``compilation`` (`compiled_chains`).
    """

    def __init__(
        self, generator: Generator, limit: RowLimit, compilation: Compilation | None = None
    ) -> None:
        self.unlimited = generator
        self.limit = limit
        self.compilation = compilation

    @property
    def latent_dim(self) -> int:
        """The generator's."""
        return self.unlimited.latent_dim

    @property
    def num_classes(self) -> int:
        """The generator's."""
        return self.unlimited.num_classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The generator's."""
        return self.unlimited.image_shape

    def __call__(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch channels height width"]:
        """The generator's images."""
        self.limit.evaluating(len(latent))
        if latent.requires_grad and torch.is_grad_enabled():
            return self.unlimited(latent, condition)

        def images() -> Tensor:
            rows = self.limit.rows
            if len(latent) <= rows:
                return self.unlimited(latent, condition)
            return torch.cat(
                [
                    self.unlimited(
                        latent[start : start + rows],
                        None if condition is None else condition[start : start + rows],
                    )
                    for start in range(0, len(latent), rows)
                ]
            )

        return self.limit.attempt(len(latent), images)

    def to(self, device: torch.device) -> "LimitedGenerator":
        """The same with its weights on ``device``."""
        return LimitedGenerator(self.unlimited.to(device), self.limit, self.compilation)


def limit_of(generator: Generator) -> RowLimit:
    """The limit that a generator was given; without one, memory alone sets it."""
    return generator.limit if isinstance(generator, LimitedGenerator) else RowLimit()


def compilation_of(generator: Generator) -> Compilation | None:
    """Whether what chains do with a generator is compiled; None where nobody asked for it."""
    return generator.compilation if isinstance(generator, LimitedGenerator) else None


def of_any_rows(generator: Generator) -> Generator:
    """The generator itself, for whoever gives it one number of rows always."""
    return without_blocks(_unlimited(generator))


def filled_up_to(generator: Generator) -> int:
    """How many rows each of its calls is filled up to, at the least."""
    return rows_of_block(_unlimited(generator))


def _unlimited(generator: Generator) -> Generator:
    return generator.unlimited if isinstance(generator, LimitedGenerator) else generator


def bytes_of_row(generator: Generator, device: torch.device) -> int:
    """Device or main memory that each further row takes for a derivative in its latent.

    What two rows keep for it more than one, beside the images. Nothing is differentiated; on the
    meta device nothing is computed either.
    """
    one, two = (_bytes_kept(generator, device, rows) for rows in (1, 2))
    return max(1, two - one)


def _bytes_kept(generator: Generator, device: torch.device, rows: int) -> int:
    random = torch.Generator().manual_seed(0)
    drawn = torch.randn(rows, generator.latent_dim, generator=random).to(device)
    latent = drawn.requires_grad_()
    classes = generator.num_classes
    condition = torch.zeros(rows, dtype=torch.int64, device=device) if classes else None
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: Tensor) -> Tensor:
        # One of the meta device has no address, so that it is known by itself.
        storage = tensor.untyped_storage()
        kept[id(storage)] = storage
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda kept: kept):
        images = generator(latent, condition)
    return sum(each.nbytes() for each in kept.values()) + images.untyped_storage().nbytes()
