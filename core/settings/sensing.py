"""Settings of compressed sensing."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, doc


@dataclass(frozen=True)
class SensingSettings:
    """Settings of a restoration: Adam, its rate falling from ``learning_rate`` to 0 as a cosine."""

    noise: Annotated[
        float,
        Gt(0),
        doc("the standard deviation of the measurements' noise, for images in [0, 1]"),
    ] = 0.01
    iterations: Annotated[int, Ge(1), doc("steps of Adam of each restart")] = 1000
    restarts: Annotated[int, Ge(1), doc("descents of each image, from draws of the prior")] = 4
    learning_rate: Annotated[float, Gt(0), doc("Adam's rate at the start")] = 0.1

    def evaluations(self) -> int:
        """Calls of the generator for an image."""
        return self.restarts * (self.iterations + 2) + 2
