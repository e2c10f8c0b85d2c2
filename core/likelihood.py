"""ln p(x) of a generator with Gaussian observation noise, by annealed importance sampling."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64, Int
from torch import Tensor

from .batch import check_batch, check_variance
from .compiled_chains import move_of
from .densities import ProposalToPosterior
from .generators.protocol import Generator
from .samplers.ais import AnnealedChains, anneal
from .samplers.charts import StandardChart
from .samplers.noise import Stream, TransitionNoise, item_normals, transition_noise
from .samplers.schedule import sigmoid_schedule
from .samplers.step_size import (
    AdaptiveStepSize,
    RecordedStepSize,
    ScheduledStepSize,
    StepSizePolicy,
)
from .samplers.tuning import StepSizeTrace, combine_step_sizes, resample_schedule, tune
from .settings.chains import Forces
from .settings.classical import ClassicalSettings

__all__ = [
    "LikelihoodEstimate",
    "StepSizeTrace",
    "bound_log_likelihood_above",
    "combine_step_sizes",
    "estimate_log_likelihood",
    "resample_schedule",
    "simulate",
    "tune_step_sizes",
]

# Where the classic adaptation begins, and what it steers to.
_INITIAL_STEP_SIZE = 0.1
_TARGET_ACCEPTANCE = 0.65
# The relative half-width of a frozen schedule's step sizes: on linear-Gaussian decoders the error
# of tuned chains is flat from 0.2 to 0.5 and grows beyond.
_JITTER = 0.3


@dataclass(frozen=True)
class LikelihoodEstimate:
    """Estimates of ln p(x), natural log, images on [0, 1].

    ``log_likelihood`` is the logmeanexp of ``chain_log_weights``: a lower bound in the mean.
    ``acceptance`` is a chain's mean Metropolis probability, ``step_size`` its last;
    ``effective_sample_size`` is (sum w)^2 / sum w^2, between 1 and the number of chains. An image
    whose density is not finite at a chain's start has nan here.
    """

    log_likelihood: Float64[Tensor, " images"]
    chain_log_weights: Float64[Tensor, "images chains"]
    acceptance: Float64[Tensor, "images chains"]
    step_size: Float64[Tensor, "images chains"]
    effective_sample_size: Float64[Tensor, " images"]


def estimate_log_likelihood(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    variance: float,
    settings: ClassicalSettings,
    seeds: Sequence[int],
    step_size_schedule: Float64[Tensor, " transitions"] | None = None,
) -> LikelihoodEstimate:
    """Estimates ln p(x | condition) of each image from chains that run from prior to posterior.

    Latents have the images' dtype and device, which must be the generator's.

    Args:
        generator: G, deterministic, with images in [0, 1].
        images: x, on [0, 1].
        condition: the class G is given for each image; None for an unconditional generator.
        variance: sigma^2 of x = G(z) + N(0, sigma^2), on [0, 1].
        settings: of the sampler.
        seeds: one per image; an image's numbers depend on its own seed alone.
        step_size_schedule: frozen step sizes, one per transition (T - 1), used with jitter. None:
            each chain adapts its own by the classic rule.

    Raises:
        ValueError: if lengths or shapes disagree or the variance is not positive.
    """
    pair = _pair(generator, images, condition, variance, seeds, settings.forces)
    shape = (settings.chains, generator.latent_dim)
    position = item_normals(seeds, (Stream.FORWARD,), shape, images)
    policy = _policy(settings, step_size_schedule, position)
    chains = _forward(pair, position, settings, seeds, policy)
    return LikelihoodEstimate(
        log_likelihood=chains.log_mean_weight,
        chain_log_weights=chains.log_weight,
        acceptance=chains.acceptance,
        step_size=chains.step_size,
        effective_sample_size=chains.effective_sample_size,
    )


def bound_log_likelihood_above(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    latent: Float[Tensor, "images latent"],
    condition: Int[Tensor, " images"] | None,
    variance: float,
    settings: ClassicalSettings,
    seeds: Sequence[int],
    step_size_schedule: Float64[Tensor, " transitions"] | None = None,
) -> Float64[Tensor, " images"]:
    """An upper bound, in the mean, of ln p(x | condition) for images simulated from the model.

    ``latent`` is then an exact sample of the posterior, and chains that run the forward transition
    kernels in the opposite order from there give -logmeanexp(log w) (bidirectional Monte Carlo,
    Grosse et al. 2015). Arguments are those of `estimate_log_likelihood`. Without a schedule, the
    step sizes that the classic rule finds on the way up are replayed on the way down, at twice the
    cost.

    Args:
        generator: G.
        images: as `simulate` made them: with the noise, not clamped.
        latent: the latents that made them.
        condition: the classes that made them.
        variance: the variance that made them.
        settings: of the forward estimate.
        seeds: one per image.
        step_size_schedule: of the forward estimate.

    Raises:
        ValueError: if lengths or shapes disagree or the variance is not positive.
    """
    pair = _pair(generator, images, condition, variance, seeds, settings.forces)
    position = latent[:, None].expand(-1, settings.chains, -1).to(images).contiguous()
    if step_size_schedule is None:
        start = item_normals(seeds, (Stream.FORWARD,), tuple(position.shape[1:]), images)
        adaptive = RecordedStepSize(_policy(settings, None, start))
        _forward(pair, start, settings, seeds, adaptive)
        policy: StepSizePolicy = ScheduledStepSize(adaptive.steps().flip(0), 0.0, position)
    else:
        policy = _policy(settings, step_size_schedule.flip(0), position)
    noise = transition_noise(seeds, (Stream.REVERSE,), settings.transitions - 1, position)
    beta = sigmoid_schedule(settings.transitions, settings.sigmoid_radius).flip(0)
    chains = anneal(pair, position, beta, settings.leapfrog_steps, policy, noise, move_of(pair))
    return -chains.log_mean_weight


def tune_step_sizes(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    variance: float,
    settings: ClassicalSettings,
    seeds: Sequence[int],
) -> StepSizeTrace:
    """Tunes step sizes along the path on pilot images, each by itself; see `samplers.tuning`.

    Arguments are those of `estimate_log_likelihood`. `combine_step_sizes` makes the frozen schedule
    of a generator out of the pilots' step sizes.

    Raises:
        ValueError: if lengths or shapes disagree, the variance is not positive, or the path has no
            transition to tune (T < 2).
    """
    if settings.transitions < 2:
        raise ValueError(f"transitions = {settings.transitions}: tuning needs at least 2")
    pair = _pair(generator, images, condition, variance, seeds, settings.forces)

    def draw(number: int, chains: int) -> tuple[Tensor, Iterator[TransitionNoise]]:
        shape = (chains, generator.latent_dim)
        stream = (Stream.TUNING, number)
        position = item_normals(seeds, stream, shape, images)
        return position, transition_noise(seeds, stream, settings.transitions - 1, position)

    return tune(
        pair,
        draw,
        sigmoid_schedule(settings.transitions, settings.sigmoid_radius),
        settings.leapfrog_steps,
        settings.chains,
        _INITIAL_STEP_SIZE,
        _JITTER,
        move_of(pair),
    )


def simulate(
    generator: Generator,
    condition: Int[Tensor, " images"] | None,
    variance: float,
    seeds: Sequence[int],
    like: Tensor | None = None,
) -> tuple[Float[Tensor, "images channels height width"], Float[Tensor, "images latent"]]:
    """Draws (x, z) from the model: z ~ N(0, I), x = G(z) + N(0, variance), not clamped.

    Args:
        generator: G.
        condition: a class for each image; None for an unconditional generator.
        variance: sigma^2 on [0, 1].
        seeds: one per image.
        like: a tensor with the generator's dtype and device; float32 on the CPU if None.

    Raises:
        ValueError: if the number of conditions differs from the number of seeds.
    """
    count = len(seeds)
    if condition is not None and len(condition) != count:
        raise ValueError(f"{len(condition)} conditions for {count} seeds: give one per image")
    like = torch.empty(0) if like is None else like
    shape = generator.image_shape
    draws = item_normals(
        seeds, (Stream.SIMULATION,), (generator.latent_dim + math.prod(shape),), like
    )
    latent = draws[:, : generator.latent_dim].contiguous()
    noise = draws[:, generator.latent_dim :].reshape(-1, *shape)
    with torch.no_grad():
        return generator(latent, condition) + math.sqrt(variance) * noise, latent


def _forward(
    pair: ProposalToPosterior,
    position: Tensor,
    settings: ClassicalSettings,
    seeds: Sequence[int],
    policy: StepSizePolicy,
) -> AnnealedChains:
    noise = transition_noise(seeds, (Stream.FORWARD,), settings.transitions - 1, position)
    beta = sigmoid_schedule(settings.transitions, settings.sigmoid_radius)
    return anneal(pair, position, beta, settings.leapfrog_steps, policy, noise, move_of(pair))


def _policy(
    settings: ClassicalSettings, schedule: Tensor | None, position: Tensor
) -> StepSizePolicy:
    if schedule is None:
        return AdaptiveStepSize(_INITIAL_STEP_SIZE, _TARGET_ACCEPTANCE, position)
    if schedule.shape != (settings.transitions - 1,):
        raise ValueError(
            f"step_size_schedule has shape {tuple(schedule.shape)}, but {settings.transitions} "
            f"transitions need ({settings.transitions - 1},): see resample_schedule"
        )
    return ScheduledStepSize(schedule[:, None, None], _JITTER, position)


def _pair(
    generator: Generator,
    images: Tensor,
    condition: Tensor | None,
    variance: float,
    seeds: Sequence[int],
    forces: Forces | None,
) -> ProposalToPosterior:
    check_batch(generator, images, condition, seeds)
    check_variance(variance)
    return ProposalToPosterior(generator, images, condition, variance, StandardChart(), forces)
