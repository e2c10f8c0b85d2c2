"""Settings of inversion."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, doc


@dataclass(frozen=True)
class InversionSettings:
    """Settings of an inversion: Adam, its rate falling from ``learning_rate`` to 0 as a cosine.

    The default rate recovered generated images best on the shipped fashion generator.
    """

    iterations: Annotated[int, Ge(1), doc("steps of Adam of each restart")] = 750
    restarts: Annotated[int, Ge(1), doc("descents of each image")] = 4
    candidates: Annotated[
        int, Ge(1), doc("sampled images of which a restart begins at the nearest in l2")
    ] = 1000
    learning_rate: Annotated[float, Gt(0), doc("Adam's rate at the start")] = 0.2
