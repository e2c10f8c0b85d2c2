"""Step sizes of annealed HMC: adapted along a chain, or frozen as a schedule and jittered."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from .hmc import TransitionInfo

_GROWTH = 1.02
_SHRINKAGE = 0.98
_AVERAGE_DECAY = 0.9


@runtime_checkable
class StepSizePolicy(Protocol):
    """Gives every chain its step size at a transition and hears how the transition went."""

    def propose(
        self, index: int, jitter: Float[Tensor, "images chains"]
    ) -> Float[Tensor, "images chains"]:
        """Step size of each chain at transition ``index``; ``jitter`` is uniform on [0, 1)."""
        ...

    def observe(self, index: int, info: TransitionInfo) -> None:
        """Takes note of transition ``index``'s outcome."""
        ...

    def current(self) -> Float64[Tensor, "images chains"]:
        """The step size last used by each chain, without its jitter."""
        ...


class AdaptiveStepSize:
    """The classic rule of Wu et al. (2017), for each chain by itself.

    The step size grows by 1.02 while an exponential moving average of acceptances (decay 0.9) is
    above the target and shrinks by 0.98 while it is not. No jitter. Because it looks at the chain
    it serves, annealed importance sampling with it is not strictly unbiased.
    """

    def __init__(
        self,
        initial: float,
        target_acceptance: float,
        like: Float[Tensor, "images chains latent"],
    ) -> None:
        self._step = torch.full(like.shape[:2], initial, dtype=torch.float64, device=like.device)
        self._average = torch.full_like(self._step, target_acceptance)
        self._target = target_acceptance
        self._used = self._step
        self._dtype = like.dtype

    def propose(
        self,
        index: int,  # noqa: ARG002
        jitter: Float[Tensor, "images chains"],  # noqa: ARG002
    ) -> Float[Tensor, "images chains"]:
        """The current step size of each chain."""
        self._used = self._step
        return self._step.to(self._dtype)

    def observe(self, index: int, info: TransitionInfo) -> None:  # noqa: ARG002
        """Updates the average, then the step size for the next transition."""
        self._average.mul_(_AVERAGE_DECAY).add_(info.accepted, alpha=1 - _AVERAGE_DECAY)
        self._step = torch.where(
            self._average > self._target, self._step * _GROWTH, self._step * _SHRINKAGE
        )

    def current(self) -> Float64[Tensor, "images chains"]:
        """The step size last used by each chain."""
        return self._used


class ScheduledStepSize:
    """Frozen step sizes, one per transition, each used times 1 + width U(-1, 1).

    The jitter is drawn anew per transition and chain, independently of the state, so every
    transition is a mixture of reversible kernels and the weights stay unbiased; it keeps
    trajectories from locking onto a multiple of an oscillation's period.
    """

    def __init__(
        self,
        schedule: Float64[Tensor, "transitions #images #chains"],
        jitter: float,
        like: Float[Tensor, "images chains latent"],
    ) -> None:
        self._schedule = schedule.to(like.device).expand(-1, *like.shape[:2])
        self._in_dtype = self._schedule.to(like.dtype)
        self._jitter = jitter
        self._index = 0

    def propose(
        self, index: int, jitter: Float[Tensor, "images chains"]
    ) -> Float[Tensor, "images chains"]:
        """The schedule's step size at ``index``, jittered."""
        self._index = index
        return self._in_dtype[index] * (1 + self._jitter * (2 * jitter - 1))

    def observe(self, index: int, info: TransitionInfo) -> None:
        """Nothing changes: the schedule is frozen."""

    def current(self) -> Float64[Tensor, "images chains"]:
        """The schedule's step size at the last transition made."""
        return self._schedule[self._index]


class RecordedStepSize:
    """Another policy, with every transition's step size and Metropolis probability kept."""

    def __init__(self, policy: StepSizePolicy) -> None:
        self._policy = policy
        self._steps: list[Tensor] = []
        self._probabilities: list[Tensor] = []

    def propose(
        self, index: int, jitter: Float[Tensor, "images chains"]
    ) -> Float[Tensor, "images chains"]:
        """What the recorded policy proposes."""
        return self._policy.propose(index, jitter)

    def observe(self, index: int, info: TransitionInfo) -> None:
        """Keeps the step size used, unjittered, and the probability; passes the outcome on."""
        self._steps.append(self._policy.current())
        self._probabilities.append(info.acceptance_probability)
        self._policy.observe(index, info)

    def current(self) -> Float64[Tensor, "images chains"]:
        """The recorded policy's current step size."""
        return self._policy.current()

    def steps(self) -> Float64[Tensor, "transitions images chains"]:
        """Step sizes of all transitions so far."""
        return torch.stack(self._steps)

    def probabilities(self) -> Float64[Tensor, "transitions images chains"]:
        """Metropolis probabilities of all transitions so far."""
        return torch.stack(self._probabilities)
