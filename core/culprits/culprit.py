"""What a culprit is: a generator whose fault is known, because it was made with it."""

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float, Int64
from torch import Tensor

# images [n, C, H, W] in [0, 1], labels [n] and a seed to images and labels as a generator's.
Corruption = Callable[
    [Float[Tensor, "n channels height width"], Int64[Tensor, " n"], int],
    tuple[Float[Tensor, "made channels height width"], Int64[Tensor, " made"]],
]


class OneClassError(ValueError):
    """A culprit whose fault is in its classes was to be made of images of a single one."""


@dataclass(frozen=True)
class Culprit:
    """A generator made from real images: ``make(images, labels, seed)`` gives what it generates.

    The images that go in are a sample of the real distribution. What comes out are some of them, or
    all, changed or not; no image that goes in comes out twice unless repetition is the fault. So
    what an ``honest`` culprit makes is a sample of the real distribution too, and whoever calls it
    decides how large a sample. ``fault`` says in words what is wrong, and is empty where nothing
    is. The same seed gives the same images.
    """

    name: str
    fault: str
    make: Corruption

    @property
    def honest(self) -> bool:
        """Whether nothing is wrong: a detector that speaks up here gives a false alarm."""
        return not self.fault
