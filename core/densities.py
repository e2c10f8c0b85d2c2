"""The pair of densities that chains of an image are annealed between: proposal and posterior."""

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .generators.protocol import Generator
from .row_limit import Block, RowLimit, limit_of, of_any_rows
from .samplers.charts import Chart
from .samplers.density_pair import PairEvaluation
from .settings.chains import Forces


class ProposalToPosterior:
    """From a proposal q(z) to p(z) p(x|z) under x = G(z) + N(0, variance), in a chart's positions.

    The start is N(u; 0, I); the difference is ln p(x|z) + ln p(z) - ln q(z) at z(u), with
    ln p(x|z) = -|x - G(z)|^2 / (2 variance) - (D/2) ln(2 pi variance). In the standard chart q is
    the prior p(z) = N(0, I), u is z, and the difference is ln p(x|z).

    The generator and its derivative are computed block by block of chains, as many as its limit
    allows. With ``forces`` of another precision `gradients` are of the generator in that precision,
    and `evaluate` is as it was: a leapfrog trajectory with any force inside of it that depends on
    the position alone is reversible and keeps volume.
    """

    def __init__(
        self,
        generator: Generator,
        images: Float[Tensor, "images channels height width"],
        condition: Int[Tensor, " images"] | None,
        variance: float,
        chart: Chart,
        forces: Forces | None = None,
    ) -> None:
        self.generator = generator
        self.forces = forces
        self._limit = limit_of(generator)
        self._images = images[:, None]
        self._condition = condition
        self._repeated: Tensor | None = None
        self._variance: float | Tensor = variance
        normaliser = -0.5 * images[0].numel() * math.log(2 * math.pi * variance)
        self._log_normaliser: float | Tensor = normaliser
        self._chart = chart

    def gradients(
        self, position: Float[Tensor, "images chains latent"]
    ) -> tuple[Float[Tensor, "images chains latent"], Float[Tensor, "images chains latent"]]:
        """Gradients, in the positions, of the start and of the difference."""
        latent = self._chart.latent(position)

        def computed(block: Block) -> tuple[Tensor, ...]:
            return (self._residual_and_gradient(latent, block, self.forces)[1],)

        images, chains, _ = latent.shape
        (likelihood_gradient,) = self._limit.over(images, chains, computed)
        return -position, self._chart.pull_back(latent, likelihood_gradient)

    def evaluate(self, position: Float[Tensor, "images chains latent"]) -> PairEvaluation:
        """Values and gradients of the start and of the difference, squares summed in float64."""
        latent = self._chart.latent(position)

        def computed(block: Block) -> tuple[Tensor, ...]:
            residual, gradient = self._residual_and_gradient(latent, block)
            return residual.square_().flatten(2).sum(-1, dtype=torch.float64), gradient

        images, chains, _ = latent.shape
        squared_error, likelihood_gradient = self._limit.over(images, chains, computed)
        log_likelihood = self._log_normaliser - squared_error / (2 * self._variance)
        squared_norm = position.square().sum(-1, dtype=torch.float64)
        log_prior_ratio, pulled = self._chart.evaluate(latent, likelihood_gradient)
        return PairEvaluation(
            start=-0.5 * (squared_norm + position.shape[-1] * math.log(2 * math.pi)),
            difference=log_likelihood + log_prior_ratio,
            start_gradient=-position,
            difference_gradient=pulled,
        )

    def traced(self, index: Int[Tensor, " some"], chains: int) -> "TracedPair":
        """The pair of some of the images, with so many chains each, for a graph."""
        condition = None if self._condition is None else self._condition[index]
        return TracedPair(
            of_any_rows(self.generator),
            self._images[index, 0],
            condition,
            float(self._variance),
            self._chart.images(index),
            chains,
        )

    def _residual_and_gradient(
        self, latent: Tensor, block: Block, forces: Forces | None = None
    ) -> tuple[Tensor, Tensor]:
        condition = self._condition_of_chains(latent.shape[1], block)
        chosen = latent[block]
        with torch.enable_grad(), _in_precision(forces, chosen.device):
            flat = chosen.detach().flatten(0, 1).requires_grad_()
            decoded = self.generator(flat, condition).to(chosen.dtype)
        shape = (*chosen.shape[:2], *decoded.shape[1:])
        residual = self._images[block.images] - decoded.detach().view(shape)
        # d/dz ln p(x|z) = J^T (x - G(z)) / variance: the residual is the vector, so that neither
        # the loss nor its graph is built, and the division is over d numbers instead of D.
        (gradient,) = torch.autograd.grad(decoded, flat, residual.flatten(0, 1))
        # Not in place: torch may have laid it out as one number that stands for many.
        return residual, (gradient / self._variance).view_as(chosen)

    def _condition_of_chains(self, chains: int, block: Block) -> Tensor | None:
        if self._condition is None:
            return None
        if self._repeated is None or len(self._repeated) != chains * len(self._condition):
            self._repeated = self._condition.repeat_interleave(chains)
        return self._repeated.view(-1, chains)[block].flatten()


class TracedPair(ProposalToPosterior):
    """The same for a block of images of one shape, as one graph can compute it.

    Its numbers are tensors, which are arguments of the graph and no part of it.
    """

    def __init__(
        self,
        generator: Generator,
        images: Float[Tensor, "images channels height width"],
        condition: Int[Tensor, " images"] | None,
        variance: float,
        chart: Chart,
        chains: int,
    ) -> None:
        super().__init__(generator, images, condition, variance, chart)
        self._limit = RowLimit()
        self._classes = None if condition is None else condition.repeat_interleave(chains)
        self._variance = _number(self._variance, images)
        self._log_normaliser = _number(self._log_normaliser, images)

    def _residual_and_gradient(
        self, latent: Tensor, block: Block, forces: Forces | None = None
    ) -> tuple[Tensor, Tensor]:
        del block, forces

        def images(flat: Tensor) -> Tensor:
            return self.generator(flat, self._classes)

        differentiated = torch.func.vjp(images, latent.flatten(0, 1))
        decoded, pull = differentiated[0], differentiated[1]
        residual = self._images - decoded.unflatten(0, latent.shape[:2])
        (gradient,) = pull(residual.flatten(0, 1))
        return residual, (gradient / self._variance).view_as(latent)


def _number(value: float | Tensor, like: Tensor) -> Tensor:
    return torch.as_tensor(value, dtype=torch.float64, device=like.device)


def _in_precision(forces: Forces | None, device: torch.device) -> AbstractContextManager[object]:
    """Products and convolutions of the block in this precision; sums and norms are as they were."""
    if forces is None:
        return nullcontext()
    return torch.autocast(device.type, dtype=getattr(torch, forces))
