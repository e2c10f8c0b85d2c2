"""Annealed importance sampling between two log densities (Neal 2001), images x chains at once."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from .density_pair import DensityPair
from .hmc import Move, initial_state, transition
from .noise import TransitionNoise
from .step_size import StepSizePolicy


@dataclass(frozen=True)
class AnnealedChains:
    """Where the chains ended, their log weights (natural log) and how they moved.

    ``acceptance`` is the mean Metropolis probability over transitions; ``step_size`` the last.
    Both are nan for a path without transitions.
    """

    log_weight: Float64[Tensor, "images chains"]
    position: Float[Tensor, "images chains latent"]
    acceptance: Float64[Tensor, "images chains"]
    step_size: Float64[Tensor, "images chains"]

    @property
    def log_mean_weight(self) -> Float64[Tensor, " images"]:
        """The log of the mean weight over chains: in the mean a lower bound of its exact value."""
        return self.log_weight.logsumexp(-1) - math.log(self.log_weight.shape[-1])

    @property
    def effective_sample_size(self) -> Float64[Tensor, " images"]:
        """The number (sum w)^2 / sum w^2, between 1 and the number of chains."""
        return torch.exp(2 * self.log_weight.logsumexp(-1) - (2 * self.log_weight).logsumexp(-1))


@torch.no_grad()
def anneal(
    pair: DensityPair,
    position: Float[Tensor, "images chains latent"],
    beta: Float64[Tensor, " knots"],
    leapfrog_steps: int,
    step_size: StepSizePolicy,
    noise: Iterator[TransitionNoise],
    move: Move = transition,
) -> AnnealedChains:
    """Moves chains along f_beta = start^(1 - beta) end^beta and accumulates their log weights.

    For t = 1, ..., T the weight comes first, log w += (beta_t - beta_{t-1}) (ln end - ln start),
    then a transition that leaves f_{beta_t} invariant; none follows the last increment. With
    ``beta`` rising from 0 and positions drawn from the start, E[w] = Z_end / Z_start. With ``beta``
    reversed, the step sizes too, and positions drawn from the end, the increments and transitions
    are the forward ones in exactly the opposite order, so E[w] = Z_start / Z_end: the reverse
    chains of bidirectional Monte Carlo (Grosse et al. 2015).

    A non-finite density at a chain's first position makes that chain's log weight non-finite and
    touches no other chain.

    Args:
        pair: the two ends; called ``leapfrog_steps * (T - 1) + 1`` times.
        position: each chain's first position.
        beta: T + 1 inverse temperatures.
        leapfrog_steps: per transition.
        step_size: one step size per chain and transition.
        noise: yields at least T - 1 times.
        move: the transition.
    """
    knots = beta.tolist()
    state = initial_state(pair, position)
    log_weight = (knots[1] - knots[0]) * state.ends.difference
    acceptance = torch.zeros_like(log_weight)
    transitions = len(knots) - 2
    for index in range(transitions):
        draws = next(noise)
        at, following = knots[index + 1], knots[index + 2]
        step = step_size.propose(index, draws.jitter)
        state, info = move(pair, state, draws.momentum, draws.acceptance, at, step, leapfrog_steps)
        step_size.observe(index, info)
        log_weight.add_(state.ends.difference, alpha=following - at)
        acceptance += info.acceptance_probability
    last_step = step_size.current() if transitions else torch.full_like(log_weight, torch.nan)
    return AnnealedChains(log_weight, state.position, acceptance / transitions, last_step)
