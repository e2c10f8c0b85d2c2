"""What is asked of a generator, call by call: what a search or a chain costs before it is made."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a call is for; a row of each takes its own time."""

    IMAGES = "images"
    """Images alone."""
    DESCENT = "descent"
    """Images and their gradient in the latent, for a step of a descent."""
    CHAIN = "chain"
    """The same, for a leapfrog step of a chain."""
    JACOBIAN = "jacobian"
    """The Jacobian at a point, by products with it or its transpose."""


@dataclass(frozen=True)
class Calls:
    """``times`` calls, one after the other, of ``rows`` rows of each image.

    ``products`` are those that each row of a Jacobian takes; of other kinds it is 1.
    """

    kind: Kind
    times: int
    rows: int
    products: int = 1


def evaluations(calls: Iterable[Calls]) -> int:
    """Rows of an image in all of the calls, each of which counts as one; a product does as well."""
    return sum(each.times * each.rows * each.products for each in calls)
