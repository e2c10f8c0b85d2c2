"""ln p(x) by guided annealed importance sampling: annealed from the posterior's own modes.

The proposal q is a mixture of Gaussians at the modes and the prior (`laplace`). A chain that starts
from component k runs along N_k(z) (p(z) p(x|z) / q(z))^beta in the coordinates that whiten N_k. The
integral of the last density, averaged over k with the mixture's weights, is p(x), so the mean
weight is exact for any number of modes found, any step size and any number of transitions.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace

import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from .batch import check_batch, check_variance
from .densities import ProposalToPosterior
from .generators.protocol import Generator
from .laplace import ProposalSettings, distinct_modes, laplace_proposal, mode_of
from .modes import Modes, ModeSettings, find_modes
from .samplers.ais import AnnealedChains, anneal
from .samplers.noise import Stream, item_normals, transition_noise
from .samplers.proposal import MixtureChart, MixtureProposal
from .samplers.schedule import geometric_schedule
from .samplers.step_size import ScheduledStepSize


@dataclass(frozen=True)
class GuidedSettings:
    """Settings of guided annealed importance sampling.

    ``transitions`` is T, the number of increments of the weight. ``step_size`` is a leapfrog step's
    where a chain starts, in its whitened coordinates; from there it shrinks as the path's highest
    frequency grows. Half an oscillation would leave the energy unmixed. At a given cost,
    short transitions in number gained more than long ones, and small steps of wide ``jitter``
    (their relative half-width) more than large ones, where the posterior is not Gaussian.
    ``growth`` is the schedule's, see `geometric_schedule`.

    With a ``tolerance`` in nats an image's transitions and restarts are doubled, at most
    ``doublings`` times, until the estimate changes by no more than it and the chains' own standard
    error is no larger. The chains that decided this agree by selection, and their mean weight is no
    longer p(x): they are thrown away, and fresh ones at the same settings and modes are reported.
    """

    transitions: int = 66
    chains: int = 4
    leapfrog_steps: int = 3
    growth: float = 20.0
    step_size: float = 0.5
    jitter: float = 0.6
    tolerance: float | None = None
    doublings: int = 3
    search: ModeSettings = field(default_factory=ModeSettings)
    proposal: ProposalSettings = field(default_factory=ProposalSettings)


@dataclass(frozen=True)
class GuidedEstimate:
    """Estimates of ln p(x), natural log, images on [0, 1].

    ``log_likelihood`` is the logmeanexp of ``chain_log_weights``: a lower bound in the mean.
    ``standard_error`` is that of the mean weight relative to it, from the spread of the chains.
    ``component`` is the mode that a chain started at, in descending order of evidence from 0, or -1
    for the prior. ``modes`` counts an image's distinct modes; ``transitions`` and ``restarts`` are
    what it ended with, ``settled`` says whether the tolerance was met (False without one).
    ``mode_mse`` is the least mean squared error, on [0, 1], of all points that the searches found;
    nan where none was finite. ``evaluations`` counts calls of the generator: gradients, candidates
    and products with J alike, those of chains that only decided too, but not the reversed chains.
    ``upper_bound`` is nan unless an exact latent was given.
    ``curvature_rank`` is d where the whole curvature was used.
    """

    log_likelihood: Float64[Tensor, " images"]
    chain_log_weights: Float64[Tensor, "images chains"]
    acceptance: Float64[Tensor, "images chains"]
    step_size: Float64[Tensor, "images chains"]
    effective_sample_size: Float64[Tensor, " images"]
    standard_error: Float64[Tensor, " images"]
    component: Int64[Tensor, "images chains"]
    modes: Int64[Tensor, " images"]
    transitions: Int64[Tensor, " images"]
    restarts: Int64[Tensor, " images"]
    mode_mse: Float64[Tensor, " images"]
    evaluations: Int64[Tensor, " images"]
    settled: Bool[Tensor, " images"]
    upper_bound: Float64[Tensor, " images"]
    curvature_rank: int


def estimate_guided(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    variance: float,
    settings: GuidedSettings,
    seeds: Sequence[int],
    latent: Float[Tensor, "images latent"] | None = None,
    known: Float[Tensor, "images known latent"] | None = None,
) -> GuidedEstimate:
    """Estimates ln p(x | condition) of each image by guided annealed importance sampling.

    Latents have the images' dtype and device, which must be the generator's.

    Args:
        generator: G, deterministic, with images in [0, 1], differentiable in forward mode.
        images: x, on [0, 1].
        condition: the class G is given for each image; None for an unconditional generator.
        variance: sigma^2 of x = G(z) + N(0, sigma^2), on [0, 1].
        settings: of search, proposal and chains.
        seeds: one per image; an image's numbers depend on its own seed alone.
        latent: the latents that made images simulated from the model with this condition and
            variance; reversed chains from there then give the upper bound.
        known: points to count among the modes, such as the latents of an inversion's restarts.

    Raises:
        ValueError: if lengths or shapes disagree or the variance is not positive.
    """
    check_batch(generator, images, condition, seeds)
    check_variance(variance)
    problem = _Problem(generator, images, condition, variance, tuple(seeds), latent, known)
    if settings.tolerance is None:
        return _run_chains(problem, settings, 0, _search(problem, settings, 0, None))
    return _settle(problem, settings, settings.tolerance)


@dataclass(frozen=True)
class _Problem:
    """The arguments of an estimate."""

    generator: Generator
    images: Tensor
    condition: Tensor | None
    variance: float
    seeds: tuple[int, ...]
    latent: Tensor | None
    known: Tensor | None

    def rows(self, index: Tensor) -> "_Problem":
        """The problem of some of the images."""
        return replace(
            self,
            images=self.images[index],
            condition=None if self.condition is None else self.condition[index],
            seeds=tuple(self.seeds[row] for row in index.tolist()),
            latent=None if self.latent is None else self.latent[index],
            known=None if self.known is None else self.known[index],
        )


@dataclass(frozen=True)
class _Found:
    """The distinct modes of an image's searches, their cost and the least error that they met."""

    modes: Modes
    evaluations: Tensor
    least_error: Tensor

    def rows(self, index: Tensor) -> "_Found":
        """What was found for some of the images."""
        return _Found(self.modes.images(index), self.evaluations[index], self.least_error[index])


def _settle(problem: _Problem, settings: GuidedSettings, tolerance: float) -> GuidedEstimate:
    """Levels until each image settles or reaches the last; then fresh chains at its last level.

    The level and its modes depend on nothing that the fresh chains draw, so that their weights are
    as unbiased as those at settings fixed beforehand.
    """
    # The upper bound is the reported chains' alone.
    deciding = replace(problem, latent=None)
    found = _search(deciding, settings, 0, None)
    previous = _run_chains(deciding, settings, 0, found)
    active = torch.arange(len(problem.images), device=problem.images.device)
    result: GuidedEstimate | None = None
    for level in range(1, settings.doublings + 1):
        part = deciding.rows(active)
        found = _search(part, settings, level, found)
        decided = _judged(_run_chains(part, settings, level, found), previous, tolerance)
        ended = decided.settled | (level == settings.doublings)
        if bool(ended.any()):
            reported = _report(
                problem.rows(active[ended]),
                settings,
                level,
                found.rows(ended),
                _rows(decided, ended),
            )
            result = _written(result, active[ended], reported, len(problem.images))
        if bool(ended.all()):
            break
        active, found, previous = active[~ended], found.rows(~ended), _rows(decided, ~ended)
    assert result is not None
    return result


def _search(
    problem: _Problem, settings: GuidedSettings, level: int, earlier: _Found | None
) -> _Found:
    """The modes with restarts doubled ``level`` times; those of ``earlier`` levels count."""
    base = settings.search.restarts
    fresh = base if earlier is None else base * 2**level // 2
    search = find_modes(
        problem.generator,
        problem.images,
        problem.condition,
        problem.variance,
        replace(settings.search, restarts=fresh),
        problem.seeds,
        level,
        problem.known if earlier is None else None,
    )
    modes, least_error = search.modes, search.least_error
    if earlier is not None:
        modes = earlier.modes.joined(modes)
        least_error = torch.minimum(earlier.least_error, least_error)
    evaluations = torch.full_like(least_error, search.evaluations, dtype=torch.int64)
    return _Found(distinct_modes(modes, settings.search), evaluations, least_error)


def _run_chains(
    problem: _Problem,
    settings: GuidedSettings,
    level: int,
    found: _Found,
    purpose: tuple[int, ...] = (),
) -> GuidedEstimate:
    """The estimate from chains with transitions doubled ``level`` times and the modes found.

    Its evaluations are those of this search and these chains. The numbers of another ``purpose``
    are fresh.
    """
    modes, base = found.modes, settings.search.restarts
    proposal = laplace_proposal(modes, settings.proposal)
    settings = replace(settings, transitions=settings.transitions * 2**level)
    normals = item_normals(
        problem.seeds,
        (*purpose, Stream.COMPONENTS, level),
        (2, settings.chains),
        torch.empty(0, dtype=torch.float64, device=problem.images.device),
    )
    uniform = torch.special.ndtr(normals)
    component = proposal.draw(uniform[:, 0, 0], settings.chains)
    chains = _forward(problem, settings, (*purpose, Stream.GUIDED, level), proposal, component)
    upper = torch.full_like(chains.log_mean_weight, torch.nan)
    if problem.latent is not None:
        stream = (*purpose, Stream.GUIDED_REVERSE, level)
        upper = _upper_bound(problem, settings, stream, proposal, uniform[:, 1])
    constant = torch.ones_like(component[:, 0])
    return GuidedEstimate(
        log_likelihood=chains.log_mean_weight,
        chain_log_weights=chains.log_weight,
        acceptance=chains.acceptance,
        step_size=chains.step_size,
        effective_sample_size=chains.effective_sample_size,
        standard_error=_standard_error(chains),
        component=mode_of(component, proposal),
        modes=torch.isfinite(modes.log_evidence).sum(1),
        transitions=constant * settings.transitions,
        restarts=constant * base * 2**level,
        mode_mse=found.least_error.masked_fill(found.least_error.isinf(), torch.nan),
        evaluations=found.evaluations + _gradients(settings),
        settled=torch.zeros_like(constant, dtype=torch.bool),
        upper_bound=upper,
        curvature_rank=modes.directions.shape[-1],
    )


def _gradients(settings: GuidedSettings) -> int:
    return settings.chains * (settings.leapfrog_steps * (settings.transitions - 1) + 1)


def _forward(
    problem: _Problem,
    settings: GuidedSettings,
    stream: tuple[int, ...],
    proposal: MixtureProposal,
    component: Tensor,
) -> AnnealedChains:
    shape = (settings.chains, problem.generator.latent_dim)
    position = item_normals(problem.seeds, stream, shape, problem.images)
    beta = geometric_schedule(settings.transitions, settings.growth)
    return _anneal(problem, settings, proposal, component, position, beta, stream)


def _upper_bound(
    problem: _Problem,
    settings: GuidedSettings,
    stream: tuple[int, ...],
    proposal: MixtureProposal,
    uniform: Tensor,
) -> Tensor:
    """-ln of the mean weight of reversed chains from the exact latent, each from a component.

    The forward chains end in p(z) p(x|z) w_k N_k(z) / q(z), over latents and components, so the
    component of an exact latent is drawn with the probabilities w_k N_k(z) / q(z).
    """
    assert problem.latent is not None
    latent = problem.latent[:, None].expand(-1, settings.chains, -1).to(problem.images)
    component = proposal.draw_given(uniform, latent)
    position = proposal.frame(component).to_position(latent)
    beta = geometric_schedule(settings.transitions, settings.growth).flip(0)
    chains = _anneal(problem, settings, proposal, component, position, beta, stream)
    return -chains.log_mean_weight


def _anneal(
    problem: _Problem,
    settings: GuidedSettings,
    proposal: MixtureProposal,
    component: Tensor,
    position: Tensor,
    beta: Tensor,
    stream: tuple[int, ...],
) -> AnnealedChains:
    pair = ProposalToPosterior(
        problem.generator,
        problem.images,
        problem.condition,
        problem.variance,
        MixtureChart(proposal, component),
    )
    transitions = settings.transitions - 1
    inner = beta[1:-1, None, None].to(position.device)
    frequency = (1 - inner + inner * proposal.stiffness.gather(1, component).square()).sqrt()
    policy = ScheduledStepSize(settings.step_size / frequency, settings.jitter, position)
    noise = transition_noise(problem.seeds, stream, transitions, position)
    return anneal(pair, position, beta, settings.leapfrog_steps, policy, noise)


def _standard_error(chains: AnnealedChains) -> Tensor:
    """The standard error of the mean weight, relative to it; infinite for a single chain."""
    count = chains.log_weight.shape[1]
    if count == 1:
        return torch.full_like(chains.effective_sample_size, torch.inf)
    return ((count / chains.effective_sample_size - 1) / (count - 1)).clamp(min=0).sqrt()


def _judged(found: GuidedEstimate, previous: GuidedEstimate, tolerance: float) -> GuidedEstimate:
    """The estimate with its evaluations in full, and settled where the tolerance is met."""
    change = (found.log_likelihood - previous.log_likelihood).abs()
    return replace(
        found,
        settled=(change <= tolerance) & (found.standard_error <= tolerance),
        evaluations=found.evaluations + previous.evaluations,
    )


def _report(
    problem: _Problem, settings: GuidedSettings, level: int, found: _Found, decided: GuidedEstimate
) -> GuidedEstimate:
    """Fresh chains at the level and modes that were decided on; the search is not paid again."""
    fresh = _run_chains(problem, settings, level, found, (Stream.REPORTED,))
    return replace(
        fresh,
        settled=decided.settled,
        evaluations=decided.evaluations + fresh.evaluations - found.evaluations,
    )


def _rows(estimate: GuidedEstimate, rows: Tensor) -> GuidedEstimate:
    taken = {name: getattr(estimate, name)[rows] for name in _per_image()}
    return replace(estimate, **taken)


def _written(
    whole: GuidedEstimate | None, rows: Tensor, part: GuidedEstimate, images: int
) -> GuidedEstimate:
    """``whole``, by now of some of the ``images``, with ``part`` at these rows."""
    if whole is None:
        empty = {
            name: getattr(part, name).new_zeros((images, *getattr(part, name).shape[1:]))
            for name in _per_image()
        }
        whole = replace(part, **empty)
    written = {
        name: getattr(whole, name).index_copy(0, rows, getattr(part, name)) for name in _per_image()
    }
    return replace(whole, **written)


def _per_image() -> list[str]:
    return [entry.name for entry in fields(GuidedEstimate) if entry.name != "curvature_rank"]
