"""ln p(x) by guided annealed importance sampling: annealed from the posterior's own modes.

The proposal q is a mixture of Gaussians at the modes and the prior (`laplace`). A chain that starts
from component k runs along N_k(z) (p(z) p(x|z) / q(z))^beta in the coordinates that whiten N_k. The
integral of the last density, averaged over k with the mixture's weights, is p(x), so the mean
weight is exact for any number of modes found, any step size and any number of transitions.
"""

from collections.abc import Sequence
from dataclasses import fields, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from .bank import Bank
from .batch import check_batch, check_variance
from .generators.protocol import Generator
from .guided_run import FoundModes, GuidedEstimate, GuidedProblem, run_chains, search_modes
from .probe import probe_modes
from .samplers.noise import Stream
from .settings.guided import GuidedSettings


def estimate_guided(
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    variance: float,
    settings: GuidedSettings,
    seeds: Sequence[int],
    latent: Float[Tensor, "images latent"] | None = None,
    known: Float[Tensor, "images known latent"] | None = None,
    bank: Bank | None = None,
    probe: Bank | None = None,
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
        bank: where the settings ask for one, the generator's, to share it with other calls. It
            must have drawn nothing from these seeds: the chains' noise does not depend on it, and
            so their mean weight is p(x) whatever starts it gave.
        probe: where it is given, a second search of another law (`probe`) adds its modes, half of
            whose starts are from this bank: what it finds is what the first search missed.

    Raises:
        ValueError: if lengths or shapes disagree or the variance is not positive.
    """
    check_batch(generator, images, condition, seeds)
    check_variance(variance)
    bank = Bank(generator) if bank is None else bank
    problem = GuidedProblem(
        generator, images, condition, variance, tuple(seeds), latent, known, bank
    )
    if settings.tolerance is None:
        return run_chains(problem, settings, 0, _first_modes(problem, settings, probe))
    return _settle(problem, settings, settings.tolerance, probe)


def _first_modes(
    problem: GuidedProblem, settings: GuidedSettings, probe: Bank | None
) -> FoundModes:
    found = search_modes(problem, settings, 0, None)
    return found if probe is None else probe_modes(problem, settings, found, probe)


def _settle(
    problem: GuidedProblem, settings: GuidedSettings, tolerance: float, probe: Bank | None
) -> GuidedEstimate:
    """Levels until each image settles or reaches the last; then fresh chains at its last level.

    The level and its modes depend on nothing that the fresh chains draw, so that their weights are
    as unbiased as those at settings fixed beforehand.
    """
    # The upper bound is the reported chains' alone.
    deciding = replace(problem, latent=None)
    found = _first_modes(deciding, settings, probe)
    previous = run_chains(deciding, settings, 0, found)
    active = torch.arange(len(problem.images), device=problem.images.device)
    result: GuidedEstimate | None = None
    for level in range(1, settings.doublings + 1):
        part = deciding.rows(active)
        found = search_modes(part, settings, level, found)
        decided = _judged(run_chains(part, settings, level, found), previous, tolerance)
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


def _judged(found: GuidedEstimate, previous: GuidedEstimate, tolerance: float) -> GuidedEstimate:
    """The estimate with its evaluations in full, and settled where the tolerance is met."""
    change = (found.log_likelihood - previous.log_likelihood).abs()
    return replace(
        found,
        settled=(change <= tolerance) & (found.standard_error <= tolerance),
        evaluations=found.evaluations + previous.evaluations,
    )


def _report(
    problem: GuidedProblem,
    settings: GuidedSettings,
    level: int,
    found: FoundModes,
    decided: GuidedEstimate,
) -> GuidedEstimate:
    """Fresh chains at the level and modes that were decided on; the search is not paid again."""
    fresh = run_chains(problem, settings, level, found, (Stream.REPORTED,))
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
