"""Settings of compressed sensing."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, doc

from .inversion import InversionSettings


@dataclass(frozen=True)
class SensingSettings(InversionSettings):
    """Settings of a restoration: the measurements' noise, and the search of an inversion."""

    noise: Annotated[
        float,
        Gt(0),
        doc("the standard deviation of the measurements' noise, for images in [0, 1]"),
    ] = 0.01
    restarts: Annotated[int, Ge(1), doc("searches of each image")] = 16
