"""Row by row the same numbers, alone or in company: functions of rows, in blocks of one shape.

A matrix product may order its sums, and so round, by how many rows it is given, and chains and
searches amplify rounding. In blocks that have the same number of rows whatever there is to compute,
filled up where rows are missing, a row's numbers depend on that row alone.
"""

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .generators.class_set import ClassSetGenerator
from .generators.protocol import Generator


class FixedRows:
    """A generator that is given ``rows`` rows at a time, always, also where it is differentiated.

    Its own computation of a row must not depend on what is in the others, nor on its place among
    them (decision 4 says where that was tried).
    """

    def __init__(self, generator: Generator, rows: int) -> None:
        """``rows`` is at least 1."""
        self.generator = generator
        self.rows = rows

    @property
    def latent_dim(self) -> int:
        """The generator's."""
        return self.generator.latent_dim

    @property
    def num_classes(self) -> int:
        """The generator's."""
        return self.generator.num_classes

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """The generator's."""
        return self.generator.image_shape

    def __call__(
        self, latent: Float[Tensor, "batch latent"], condition: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch channels height width"]:
        """The generator's images."""
        if condition is None:
            return in_blocks(lambda part: self.generator(part, None), latent, self.rows)
        labels = _filled(condition, self.rows).split(self.rows)
        parts = iter(labels)
        return in_blocks(lambda part: self.generator(part, next(parts)), latent, self.rows)

    def to(self, device: torch.device) -> "FixedRows":
        """The same with its weights on ``device``."""
        return FixedRows(self.generator.to(device), self.rows)


def in_fixed_rows(generator: Generator, rows: int) -> Generator:
    """The generator in blocks of so many rows; of a set, each of its members."""
    if isinstance(generator, ClassSetGenerator):
        members = generator.members.items()
        return ClassSetGenerator({number: FixedRows(each, rows) for number, each in members})
    return FixedRows(generator, rows)


def without_blocks(generator: Generator) -> Generator:
    """What `in_fixed_rows` was given."""
    if isinstance(generator, ClassSetGenerator):
        members = generator.members.items()
        return ClassSetGenerator({number: without_blocks(each) for number, each in members})
    return generator.generator if isinstance(generator, FixedRows) else generator


def rows_of_block(generator: Generator) -> int:
    """How many rows a call is filled up to; of a set, for each member in it; 1 without blocks."""
    if isinstance(generator, ClassSetGenerator):
        return max(rows_of_block(each) for each in generator.members.values())
    return generator.rows if isinstance(generator, FixedRows) else 1


def in_blocks(compute: Callable[[Tensor], Tensor], rows: Tensor, at_once: int) -> Tensor:
    """What ``compute`` gives for rows [N, ...], asked for ``at_once`` of them at a time, always.

    The last block is filled up with its last row, and what comes of that is left out.
    """
    blocks = _filled(rows, at_once).split(at_once)
    if len(blocks) == 1:
        return compute(blocks[0])[: len(rows)]
    return torch.cat([compute(block) for block in blocks])[: len(rows)]


def _filled(rows: Tensor, at_once: int) -> Tensor:
    missing = -len(rows) % at_once
    if not missing:
        return rows
    return torch.cat([rows, rows[-1:].detach().expand(missing, *rows.shape[1:])])
