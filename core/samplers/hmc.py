"""Hamiltonian Monte Carlo on one density of an annealing path, images x chains in one batch."""

from typing import NamedTuple, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from .density_pair import DensityPair, PairEvaluation


class ChainState(NamedTuple):
    """Positions with the untempered values and gradients of both ends there.

    Untempered, because the next transition is at another temperature: values tempered for this
    one would be wrong for it.
    """

    position: Float[Tensor, "images chains latent"]
    ends: PairEvaluation


class TransitionInfo(NamedTuple):
    """What a transition did: the Metropolis probability (0 if not finite) and the outcome."""

    acceptance_probability: Float64[Tensor, "images chains"]
    accepted: Bool[Tensor, "images chains"]


def initial_state(pair: DensityPair, position: Float[Tensor, "images chains latent"]) -> ChainState:
    """Evaluates both ends at ``position``: one generator call."""
    return ChainState(position, pair.evaluate(position))


@runtime_checkable
class Move(Protocol):
    """What `transition` is, however it is computed."""

    def __call__(
        self,
        pair: DensityPair,
        state: ChainState,
        momentum: Float[Tensor, "images chains latent"],
        uniform: Float[Tensor, "images chains"],
        beta: float,
        step_size: Float[Tensor, "images chains"],
        steps: int,
    ) -> tuple[ChainState, TransitionInfo]:
        """One transition that leaves f_beta invariant."""
        ...


def leapfrog(
    pair: DensityPair,
    state: ChainState,
    momentum: Float[Tensor, "images chains latent"],
    beta: float,
    step_size: Float[Tensor, "images chains"],
    steps: int,
) -> tuple[ChainState, Float[Tensor, "images chains latent"]]:
    """Integrates Hamilton's equations of -ln f_beta with the identity mass matrix.

    Exactly ``steps`` generator calls: the state's cached gradients serve the first half step, and
    only the last position's values are computed.

    Returns:
        The state at the end, with both ends' values and gradients, and the momentum there.
    """
    momentum = half_kick(state.ends, momentum, beta, step_size)
    position = state.position
    for _ in range(steps - 1):
        position, momentum = inner_step(pair, position, momentum, beta, step_size)
    return last_step(pair, position, momentum, beta, step_size)


def half_kick(
    ends: PairEvaluation,
    momentum: Float[Tensor, "images chains latent"],
    beta: float | Float64[Tensor, ""],
    step_size: Float[Tensor, "images chains"],
) -> Float[Tensor, "images chains latent"]:
    """The momentum after half a step at rest."""
    gradient = _tempered(ends.start_gradient, ends.difference_gradient, beta)
    return torch.addcmul(momentum, step_size[..., None], gradient, value=0.5)


def inner_step(
    pair: DensityPair,
    position: Float[Tensor, "images chains latent"],
    momentum: Float[Tensor, "images chains latent"],
    beta: float | Float64[Tensor, ""],
    step_size: Float[Tensor, "images chains"],
) -> tuple[Float[Tensor, "images chains latent"], Float[Tensor, "images chains latent"]]:
    """A step of a trajectory that is not its last: position and momentum half a step apart."""
    step = step_size[..., None]
    position = torch.addcmul(position, step, momentum)
    return position, torch.addcmul(momentum, step, _tempered(*pair.gradients(position), beta))


def last_step(
    pair: DensityPair,
    position: Float[Tensor, "images chains latent"],
    momentum: Float[Tensor, "images chains latent"],
    beta: float | Float64[Tensor, ""],
    step_size: Float[Tensor, "images chains"],
) -> tuple[ChainState, Float[Tensor, "images chains latent"]]:
    """The last step of a trajectory: where it ends, and the momentum there."""
    position = torch.addcmul(position, step_size[..., None], momentum)
    end = ChainState(position, pair.evaluate(position))
    return end, half_kick(end.ends, momentum, beta, step_size)


def energy(
    state: ChainState,
    momentum: Float[Tensor, "images chains latent"],
    beta: float | Float64[Tensor, ""],
) -> Float64[Tensor, "images chains"]:
    """Hamiltonian -ln f_beta(z) + |p|^2 / 2, in float64."""
    kinetic = 0.5 * momentum.square().sum(-1, dtype=torch.float64)
    return kinetic - _tempered(state.ends.start, state.ends.difference, beta)


def transition(
    pair: DensityPair,
    state: ChainState,
    momentum: Float[Tensor, "images chains latent"],
    uniform: Float[Tensor, "images chains"],
    beta: float,
    step_size: Float[Tensor, "images chains"],
    steps: int,
) -> tuple[ChainState, TransitionInfo]:
    """One HMC transition that leaves f_beta invariant (Neal, "MCMC using Hamiltonian dynamics").

    A proposal with a non-finite energy is rejected: its chain's state stays exactly as it was.

    Args:
        pair: the path's ends.
        state: the chains now.
        momentum: fresh standard normals.
        uniform: fresh uniforms on [0, 1) for the Metropolis test.
        beta: inverse temperature of the path.
        step_size: one per chain.
        steps: leapfrog steps.
    """
    proposal, momentum_after = leapfrog(pair, state, momentum, beta, step_size, steps)
    return metropolis(state, momentum, proposal, momentum_after, uniform, beta)


def metropolis(
    state: ChainState,
    momentum: Float[Tensor, "images chains latent"],
    proposal: ChainState,
    momentum_after: Float[Tensor, "images chains latent"],
    uniform: Float[Tensor, "images chains"],
    beta: float | Float64[Tensor, ""],
) -> tuple[ChainState, TransitionInfo]:
    """The end of a trajectory where it is accepted, and its beginning elsewhere."""
    energy_after = energy(proposal, momentum_after, beta)
    probability = torch.exp(torch.clamp(energy(state, momentum, beta) - energy_after, max=0.0))
    # Covers a non-finite gradient as well: it entered the momentum's last half step.
    probability = torch.where(torch.isfinite(energy_after), probability.nan_to_num(nan=0.0), 0.0)
    accepted = uniform < probability
    return _select(accepted, proposal, state), TransitionInfo(probability, accepted)


def _tempered(start: Tensor, difference: Tensor, beta: float | Tensor) -> Tensor:
    """The sum start + beta difference; a graph has ``beta`` as a tensor, to serve all of a path."""
    if isinstance(beta, Tensor):
        return start + beta * difference
    return torch.add(start, difference, alpha=beta)


def _select(accepted: Tensor, proposal: ChainState, state: ChainState) -> ChainState:
    wide = accepted[..., None]
    new, old = proposal.ends, state.ends
    return ChainState(
        torch.where(wide, proposal.position, state.position),
        PairEvaluation(
            start=torch.where(accepted, new.start, old.start),
            difference=torch.where(accepted, new.difference, old.difference),
            start_gradient=torch.where(wide, new.start_gradient, old.start_gradient),
            difference_gradient=torch.where(wide, new.difference_gradient, old.difference_gradient),
        ),
    )
