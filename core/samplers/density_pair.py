"""Pairs of log densities that an annealing path connects, with values and gradients of both ends.

A path f_beta = start^(1 - beta) end^beta needs only the start and the difference of the two log
densities: ln f_beta = ln start + beta (ln end - ln start). A pair gives these two directly, so that
for prior to posterior the difference is ln p(x|z) itself and no digits cancel.
"""

from typing import NamedTuple, Protocol, runtime_checkable

from jaxtyping import Float, Float64
from torch import Tensor


class PairEvaluation(NamedTuple):
    """Both untempered ends of a path at one position per chain.

    Values are float64, natural logs; gradients have the positions' dtype. ``difference`` is
    ln end - ln start.
    """

    start: Float64[Tensor, "images chains"]
    difference: Float64[Tensor, "images chains"]
    start_gradient: Float[Tensor, "images chains latent"]
    difference_gradient: Float[Tensor, "images chains latent"]


@runtime_checkable
class DensityPair(Protocol):
    """Where an annealing path starts and ends. Each call costs one evaluation of the generator."""

    def gradients(
        self, position: Float[Tensor, "images chains latent"]
    ) -> tuple[Float[Tensor, "images chains latent"], Float[Tensor, "images chains latent"]]:
        """Gradients of ln start and of ln end - ln start."""
        ...

    def evaluate(self, position: Float[Tensor, "images chains latent"]) -> PairEvaluation:
        """Values and gradients of ln start and of ln end - ln start."""
        ...
