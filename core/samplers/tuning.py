"""Tunes step sizes as a function of beta on pilot images, for chains that then keep them frozen.

Acceptance fixes the shape of the schedule, the weights fix its scale. Acceptance alone cannot: on
a linear-Gaussian decoder the best ten-step trajectories are a quarter of an oscillation long and
accept 98 to 99%, while at 65% they overshoot by several periods; on a posterior with widely spread
curvatures the opposite error, too short a trajectory, is as costly. The mean log weight of a
schedule is a lower bound of ln p(x) whatever the schedule, so the highest is the best.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from .ais import anneal
from .density_pair import DensityPair
from .hmc import Move, transition
from .noise import TransitionNoise
from .step_size import AdaptiveStepSize, RecordedStepSize, ScheduledStepSize

_SHAPE_PASSES = 3
_SHAPE_ACCEPTANCE = 0.9
_SCALES = tuple(2.0**exponent for exponent in (-2.5, -2.0, -1.5, -1.0, -0.5, 0.0, 0.5))
_SMOOTHING = 0.05

Chains = tuple[Float[Tensor, "images chains latent"], Iterator[TransitionNoise]]


@dataclass(frozen=True)
class StepSizeTrace:
    """What each pilot image settled on at each transition's beta: step size and acceptance."""

    step_size: Float64[Tensor, "images transitions"]
    acceptance: Float64[Tensor, "images transitions"]
    beta: Float64[Tensor, " transitions"]


def tune(
    pair: DensityPair,
    draw: Callable[[int, int], Chains],
    beta: Float64[Tensor, " knots"],
    leapfrog_steps: int,
    chains: int,
    initial: float,
    jitter: float,
    move: Move = transition,
) -> StepSizeTrace:
    """Tunes each image's step sizes by itself.

    A classic adaptive pass; passes that move every step size towards 90% acceptance; a last pass
    that runs the schedule at several scales side by side and keeps each image's best mean weight.

    Args:
        pair: the path's ends.
        draw: (number of the pass, chains) -> first positions and noise for that many chains.
        beta: T + 1 inverse temperatures, T at least 2.
        leapfrog_steps: per transition.
        chains: per image and schedule.
        initial: step size that the first pass starts from.
        jitter: as the frozen schedule will be jittered.
        move: the transition.
    """
    position, noise = draw(0, chains)
    adaptive = RecordedStepSize(AdaptiveStepSize(initial, _SHAPE_ACCEPTANCE, position))
    anneal(pair, position, beta, leapfrog_steps, adaptive, noise, move)
    steps, acceptance = adaptive.steps(), adaptive.probabilities()
    schedule = _toward_target(steps.log().mean(-1).exp(), acceptance.mean(-1))
    for number in range(1, 1 + _SHAPE_PASSES):
        position, noise = draw(number, chains)
        policy = RecordedStepSize(ScheduledStepSize(schedule[..., None], jitter, position))
        anneal(pair, position, beta, leapfrog_steps, policy, noise, move)
        schedule = _toward_target(schedule, policy.probabilities().mean(-1))
    scales = torch.tensor(_SCALES, dtype=torch.float64, device=position.device)
    position, noise = draw(1 + _SHAPE_PASSES, chains * len(scales))
    scaled = schedule[..., None] * scales.repeat_interleave(chains)
    policy = RecordedStepSize(ScheduledStepSize(scaled, jitter, position))
    result = anneal(pair, position, beta, leapfrog_steps, policy, noise, move)
    score = result.log_weight.view(-1, len(scales), chains).mean(-1)
    best = score.nan_to_num(nan=-math.inf).argmax(-1)
    acceptance = policy.probabilities().view(*schedule.shape, len(scales), chains).mean(-1)
    index = best.expand(len(acceptance), -1)[..., None]
    return StepSizeTrace(
        step_size=(schedule * scales[best]).T.contiguous(),
        acceptance=acceptance.gather(-1, index)[..., 0].T.contiguous(),
        beta=beta[1:-1].clone(),
    )


def combine_step_sizes(
    step_size: Float64[Tensor, "images transitions"],
) -> Float64[Tensor, " transitions"]:
    """One frozen schedule from the pilots': the median of the logs, smoothed along the path.

    Raises:
        ValueError: if there is no pilot, or a step size that is not positive and finite.
    """
    if not step_size.numel():
        raise ValueError(f"step_size has shape {tuple(step_size.shape)}: no pilot to combine")
    if not bool((torch.isfinite(step_size) & (step_size > 0)).all()):
        raise ValueError("step_size holds a value that is not positive and finite")
    return _smooth(torch.quantile(step_size.log(), 0.5, dim=0)).exp()


def resample_schedule(
    beta_from: Float64[Tensor, " transitions"],
    step_size_from: Float64[Tensor, " transitions"],
    beta_to: Float64[Tensor, " others"],
) -> Float64[Tensor, " others"]:
    """Moves a schedule to another path's betas: log step size, linear in log beta, flat outside.

    Log beta, because a step size follows a power of beta where the likelihood takes over and
    beta itself spans orders of magnitude there.

    Raises:
        ValueError: if ``beta_from`` does not rise or lengths disagree.
    """
    if len(beta_from) != len(step_size_from) or not bool((beta_from.diff() > 0).all()):
        raise ValueError("beta_from must increase and have one step size for each entry")
    knots, values = beta_from.log(), step_size_from.log()
    if len(knots) == 1:
        return step_size_from.expand(len(beta_to)).clone()
    at = beta_to.log().clamp(knots[0], knots[-1])
    right = torch.searchsorted(knots, at).clamp(1, len(knots) - 1)
    fraction = (at - knots[right - 1]) / (knots[right] - knots[right - 1])
    return torch.lerp(values[right - 1], values[right], fraction).exp()


def _toward_target(
    schedule: Float64[Tensor, "transitions images"],
    acceptance: Float64[Tensor, "transitions images"],
) -> Float64[Tensor, "transitions images"]:
    """The schedule that would have had the target acceptance at every transition.

    In many dimensions acceptance is 2 Phi(-s / 2) with s, the spread of the energy error,
    proportional to the step size squared (Beskos et al., "Optimal tuning of the hybrid Monte Carlo
    algorithm", 2013). A single correction is limited to a factor of 2.
    """
    spread = _energy_error_spread(_smooth(acceptance.T).T)
    target = _energy_error_spread(torch.tensor(_SHAPE_ACCEPTANCE, dtype=torch.float64))
    corrected = schedule * (target / spread).sqrt().clamp(0.5, 2.0)
    return _smooth(corrected.log().T).T.exp()


def _energy_error_spread(acceptance: Tensor) -> Tensor:
    return 2 * math.sqrt(2) * torch.erfinv(1 - acceptance.clamp(0.001, 0.9999))


def _smooth(values: Float64[Tensor, "*rows transitions"]) -> Float64[Tensor, "*rows transitions"]:
    """Moving average over 5% of the path.

    Towards the path's start, where step sizes change fastest, the window narrows and stays
    centred; at its end, where they hardly change, it is cut off.
    """
    count = values.shape[-1]
    index = torch.arange(count, device=values.device)
    reach = index.clamp(max=int(_SMOOTHING * count / 2))
    after = (index + reach + 1).clamp(max=count)
    total = torch.nn.functional.pad(values.cumsum(-1), (1, 0))
    return (total[..., after] - total[..., index - reach]) / (after - index + reach)
