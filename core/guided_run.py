"""One run of guided annealed importance sampling: a search for modes, then chains from them."""

from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from .bank import Bank
from .compiled_chains import move_of
from .densities import ProposalToPosterior
from .generators.protocol import Generator
from .laplace import distinct_modes, laplace_proposal, mode_of
from .modes import Modes, find_modes
from .samplers.ais import AnnealedChains, anneal
from .samplers.noise import Stream, item_normals, transition_noise
from .samplers.proposal import MixtureChart, MixtureProposal
from .samplers.schedule import geometric_schedule
from .samplers.step_size import ScheduledStepSize
from .settings.chains import chain_evaluations
from .settings.guided import GuidedSettings


@dataclass(frozen=True)
class GuidedEstimate:
    """Estimates of ln p(x), natural log, images on [0, 1].

    ``log_likelihood`` is the logmeanexp of ``chain_log_weights``: a lower bound in the mean.
    ``standard_error`` is that of the mean weight relative to it, from the spread of the chains.
    ``component`` is the mode that a chain started at, in descending order of evidence from 0, or -1
    for the prior. ``modes`` counts an image's distinct modes; ``transitions`` and ``restarts`` are
    what it ended with, ``settled`` says whether the tolerance was met (False without one).
    ``probe_gain`` is by how many nats a probe (`probe`) raised the evidence of all modes together,
    by Laplace's approximation; nan where there was none.
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
    probe_gain: Float64[Tensor, " images"]
    mode_mse: Float64[Tensor, " images"]
    evaluations: Int64[Tensor, " images"]
    settled: Bool[Tensor, " images"]
    upper_bound: Float64[Tensor, " images"]
    curvature_rank: int


@dataclass(frozen=True)
class GuidedProblem:
    """The arguments of an estimate."""

    generator: Generator
    images: Tensor
    condition: Tensor | None
    variance: float
    seeds: tuple[int, ...]
    latent: Tensor | None
    known: Tensor | None
    bank: Bank | None = None

    def rows(self, index: Tensor) -> "GuidedProblem":
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
class FoundModes:
    """The distinct modes of an image's searches, and the least error that they met.

    ``evaluations`` are those of the last search, or of the first and its probe; ``restarts`` those
    of all. ``gain`` is by how many nats the probe raised the log evidence; nan without one.
    """

    modes: Modes
    evaluations: Tensor
    least_error: Tensor
    gain: Tensor
    restarts: int

    def rows(self, index: Tensor) -> "FoundModes":
        """What was found for some of the images."""
        return replace(
            self,
            modes=self.modes.images(index),
            evaluations=self.evaluations[index],
            least_error=self.least_error[index],
            gain=self.gain[index],
        )


def search_modes(
    problem: GuidedProblem, settings: GuidedSettings, level: int, earlier: FoundModes | None
) -> FoundModes:
    """The modes with restarts doubled ``level`` times; those of ``earlier`` levels count.

    Only the first search starts from the bank: what others would take from it is worse by its own
    measure. Theirs is another law, which may find what the first has none of: fresh starts, twice
    as wide, that descend without heat.
    """
    if earlier is not None:
        settings = other_law(replace(settings, restarts=settings.restarts * 2**level // 2))
    search = find_modes(
        problem.generator,
        problem.images,
        problem.condition,
        problem.variance,
        settings,
        problem.seeds,
        level,
        problem.known if earlier is None else None,
        problem.bank,
    )
    modes, least_error = search.modes, search.least_error
    gain, restarts = torch.full_like(least_error, torch.nan), settings.restarts
    if earlier is not None:
        gain, restarts = earlier.gain, restarts + earlier.restarts
        modes = earlier.modes.joined(modes)
        least_error = torch.minimum(earlier.least_error, least_error)
    evaluations = torch.full_like(least_error, search.evaluations, dtype=torch.int64)
    modes = distinct_modes(modes, settings.method)
    return FoundModes(modes, evaluations, least_error, gain, restarts)


def other_law(settings: GuidedSettings) -> GuidedSettings:
    """The settings of searches after the first: no bank, twice the width and no heat."""
    method = replace(settings.method, widest=2 * settings.method.widest, heat=1.0)
    return replace(settings, bank=0, method=method)


def run_chains(
    problem: GuidedProblem,
    settings: GuidedSettings,
    level: int,
    found: FoundModes,
    purpose: tuple[int, ...] = (),
) -> GuidedEstimate:
    """The estimate from chains with transitions doubled ``level`` times and the modes found.

    Its evaluations are those of this search and these chains. The numbers of another ``purpose``
    are fresh.
    """
    modes = found.modes
    proposal = laplace_proposal(modes, settings)
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
        restarts=constant * found.restarts,
        probe_gain=found.gain,
        mode_mse=found.least_error.masked_fill(found.least_error.isinf(), torch.nan),
        evaluations=found.evaluations
        + chain_evaluations(settings.chains, settings.leapfrog_steps, settings.transitions),
        settled=torch.zeros_like(constant, dtype=torch.bool),
        upper_bound=upper,
        curvature_rank=modes.directions.shape[-1],
    )


def _forward(
    problem: GuidedProblem,
    settings: GuidedSettings,
    stream: tuple[int, ...],
    proposal: MixtureProposal,
    component: Tensor,
) -> AnnealedChains:
    shape = (settings.chains, problem.generator.latent_dim)
    position = item_normals(problem.seeds, stream, shape, problem.images)
    beta = geometric_schedule(settings.transitions, settings.method.growth)
    return _anneal(problem, settings, proposal, component, position, beta, stream)


def _upper_bound(
    problem: GuidedProblem,
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
    position = proposal.to_position(component, latent)
    beta = geometric_schedule(settings.transitions, settings.method.growth).flip(0)
    chains = _anneal(problem, settings, proposal, component, position, beta, stream)
    return -chains.log_mean_weight


def _anneal(
    problem: GuidedProblem,
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
        settings.forces,
    )
    transitions = settings.transitions - 1
    inner = beta[1:-1, None, None].to(position.device)
    frequency = (1 - inner + inner * proposal.stiffness.gather(1, component).square()).sqrt()
    method = settings.method
    policy = ScheduledStepSize(method.step_size / frequency, method.jitter, position)
    noise = transition_noise(problem.seeds, stream, transitions, position)
    return anneal(pair, position, beta, settings.leapfrog_steps, policy, noise, move_of(pair))


def _standard_error(chains: AnnealedChains) -> Tensor:
    """The standard error of the mean weight, relative to it; infinite for a single chain."""
    count = chains.log_weight.shape[1]
    if count == 1:
        return torch.full_like(chains.effective_sample_size, torch.inf)
    return ((count / chains.effective_sample_size - 1) / (count - 1)).clamp(min=0).sqrt()
