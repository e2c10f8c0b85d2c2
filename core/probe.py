"""A second search of another law, which finds what the first one missed.

More of the first search's starts would find the same again. Half of a probe's are the best of a
bank that the first search did not see; the other half lie around the modes that it found. On
decoders with 8 and 16 latents, where nearly every estimate of an outlier was low for want of the
best mode, each half found modes that the other did not (`docs/guided-ais.md`).
"""

import math
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from .bank import Bank
from .calls import Calls, Kind, evaluations
from .guided_run import FoundModes, GuidedProblem
from .laplace import distinct_modes
from .modes import Modes, least_error, polished
from .polish import polish_calls
from .posterior import Posterior
from .samplers.noise import Stream, item_normals
from .search import PROBES, best_distinct, descended, descent_calls, start_calls, starts
from .settings.guided import GuidedSettings
from .settings.search import BANKED

_FEWEST_STARTS = 96
# Prior standard deviations by which starts are moved away from a mode, from least to most.
_NEAR, _FAR = 0.25, 1.5


def probe_modes(
    problem: GuidedProblem, settings: GuidedSettings, found: FoundModes, bank: Bank
) -> FoundModes:
    """The distinct modes of the search that ``found`` them and of its probe.

    The descents are without heat. ``gain`` is by how many nats the evidence of all distinct modes
    together rose, by Laplace's approximation; nan where there is no mode at all.

    Args:
        problem: of the first search.
        settings: of the first search.
        found: its modes.
        bank: another than the first search's. It is not used where the settings ask for none:
            those starts are then from the prior, twice as wide as the first search's.
    """
    posterior = Posterior(problem.generator, problem.images, problem.condition, problem.variance)
    posterior.confine()
    fresh, near = _numbers(settings)
    method = settings.method
    unheated = replace(method, heat=1.0, widest=2 * method.widest, modes=2 * method.modes)
    start = starts(
        posterior,
        problem.generator,
        problem.images,
        problem.condition,
        replace(settings, restarts=fresh, method=unheated),
        problem.seeds,
        (Stream.PROBE,),
        bank,
    )
    start = torch.cat([start, _around(problem, found.modes, near).to(start)], 1)
    ends = posterior.place(descended(posterior, start, settings.iterations, unheated))
    ranked, values = best_distinct(posterior, ends, ends.shape[1], unheated.separation)
    modes, products = polished(posterior, ranked, values, settings)
    together = distinct_modes(found.modes.joined(modes), unheated)
    gain = _evidence(together) - _evidence(found.modes)
    calls = evaluations(probe_calls(settings, products))
    scale = 2 * problem.variance / problem.images[0].numel()
    return FoundModes(
        distinct_modes(together, method),
        found.evaluations + calls,
        torch.minimum(found.least_error, least_error(ranked, values, modes, scale)),
        gain.clamp(min=0),
        found.restarts + fresh + near,
    )


def probe_calls(settings: GuidedSettings, products: int) -> list[Calls]:
    """Calls of the generator for an image's probe; the bank's are not counted.

    The Jacobian of a point takes so many ``products``.
    """
    fresh, near = _numbers(settings)
    ends = fresh + near
    return [
        Calls(Kind.IMAGES, PROBES, 1),
        *start_calls(replace(settings, restarts=fresh)),
        *descent_calls(ends, settings.iterations),
        Calls(Kind.IMAGES, 1, ends),
        *polish_calls(settings.polish, products, min(settings.method.modes, ends)),
    ]


def _numbers(settings: GuidedSettings) -> tuple[int, int]:
    """How many starts are fresh, and how many are around modes: as many as restarts, or more."""
    number = max(_FEWEST_STARTS, settings.restarts)
    fresh = number // 2
    if settings.bank:
        fresh = max(1, min(fresh, settings.bank // BANKED))
    return fresh, number - fresh


def _around(
    problem: GuidedProblem, modes: Modes, number: int
) -> Float[Tensor, "images points latent"]:
    """Points near an image's modes, each in turn from the one of most evidence on."""
    present = torch.isfinite(modes.log_evidence).sum(1).clamp(min=1)
    turn = torch.arange(number, device=present.device)
    centre = torch.take_along_dim(modes.latent, (turn % present[:, None])[..., None], 1)
    # Each round of the modes has another width, so that each mode has near points and far ones.
    width = torch.logspace(math.log10(_NEAR), math.log10(_FAR), number).to(centre)
    shape = centre.shape[1:]
    return centre + width[:, None] * item_normals(
        problem.seeds, (Stream.PROBE_OFFSETS,), tuple(shape), centre
    )


def _evidence(modes: Modes) -> Tensor:
    return modes.log_evidence.logsumexp(1)
