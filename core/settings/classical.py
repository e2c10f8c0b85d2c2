"""Settings of classical annealed importance sampling, from the prior."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, doc

from .chains import FORCES_KEY, Forces


@dataclass(frozen=True)
class ClassicalSettings:
    """Settings of classical annealed importance sampling; the defaults are of [IP B.1]."""

    transitions: Annotated[
        int,
        Ge(2),
        doc("T, the number of increments of a chain's weight; a transition lies between each two"),
    ] = 500
    chains: Annotated[int, Ge(1), doc("chains of each image")] = 4
    leapfrog_steps: Annotated[int, Ge(1), doc("leapfrog steps of each transition")] = 10
    sigmoid_radius: Annotated[
        float, Gt(0), doc("the inverse temperatures are a sigmoid's on plus or minus this")
    ] = 4.0
    forces: Annotated[Forces | None, doc(FORCES_KEY)] = None
