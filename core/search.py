"""The search for latents that all stages share: starts, descents, and the distinct best of them."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float64, Int
from torch import Tensor

from .bank import Bank, bank_size
from .calls import Calls, Kind, evaluations
from .descent import descend
from .generators.protocol import Generator
from .polish import descend_valley, valley_calls
from .posterior import Points, Posterior
from .row_limit import Block
from .samplers.noise import item_normals
from .settings.search import BANKED, SearchMethod, SearchSettings

# Calls of an image that tell whether the generator normalises its latent, of eight images or more.
PROBES = 2
_HEATED_PART = 0.6
# So many times the starts are taken from the bank, judged, and the best distinct ones kept.
_JUDGED = BANKED // 2


def starts(
    posterior: Posterior,
    generator: Generator,
    images: Float[Tensor, "images channels height width"],
    condition: Int[Tensor, " images"] | None,
    settings: SearchSettings,
    seeds: Sequence[int],
    stream: tuple[int, ...],
    bank: Bank | None = None,
    matrix: Float[Tensor, "measurements pixels"] | None = None,
) -> Points:
    """Where each restart of each image begins: at the bank's best, or the best of its own draws.

    Args:
        posterior: what the starts are judged by.
        generator: whose bank it is.
        images: x, on [0, 1], or what is measured of them.
        condition: the class G is given for each image; None for an unconditional generator.
        settings: of the search.
        seeds: one per image, of its own draws.
        stream: of those.
        bank: the generator's, to share it with other calls; none is made without need.
        matrix: what the images were measured by (`Bank.nearest`).

    Raises:
        ValueError: the settings ask for a bank of fewer latents than restarts.
    """
    if 0 < settings.bank < settings.restarts:
        raise ValueError(
            f"bank = {settings.bank} is too few for {settings.restarts} restarts: expected 0 or "
            "at least as many"
        )
    if settings.bank:
        bank = Bank(generator) if bank is None else bank
        return _banked_starts(posterior, bank, images, condition, settings, matrix)
    scale = torch.linspace(1.0, settings.method.widest, settings.restarts).to(images)
    pool_shape = (settings.restarts, settings.candidates, generator.latent_dim)
    pool = scale[:, None, None] * item_normals(seeds, stream, pool_shape, images)
    return _best_candidates(posterior, pool)


def round_calls(settings: SearchSettings) -> list[Calls]:
    """Calls of the generator for an image's starts and the descents from them.

    A bank is decoded once for all images and does not count.
    """
    return [*start_calls(settings), *descent_calls(settings.restarts, settings.iterations)]


def start_calls(settings: SearchSettings) -> list[Calls]:
    """Those for its starts alone."""
    if not settings.bank:
        return [Calls(Kind.IMAGES, settings.candidates, settings.restarts)]
    return [Calls(Kind.IMAGES, 1, size) for size in (_shortlist(settings), _compared(settings))]


def descent_calls(points: int, iterations: int) -> list[Calls]:
    """Calls for the descents of so many points; where they end, no gradient is taken."""
    return [Calls(Kind.DESCENT, iterations, points), Calls(Kind.IMAGES, 1, points)]


class Ends(NamedTuple):
    """Where an image's finalists ended: ``value`` is the objective there, infinite if never finite.

    ``descended`` is the best of them before its polish. ``evaluations`` are calls of the generator
    per image, from its starts to these ends.
    """

    latent: Points
    value: Float64[Tensor, "images finalists"]
    descended: Float[Tensor, "images latent"]
    evaluations: int


def search(coarse: Posterior, fine: Posterior, start: Points, settings: SearchSettings) -> Ends:
    """Minimises an objective: heated descents, then further ones of the best, then their polish.

    Args:
        coarse: what the heated descents minimise.
        fine: the objective, by which the finalists are chosen; it may be the same.
        start: of the restarts.
        settings: of the search.
    """
    method = settings.method
    found = coarse.place(descended(coarse, start, settings.iterations, method))
    latent, value = best_distinct(fine, found, settings.finalists, method.separation)
    if settings.final_iterations:
        unheated = replace(method, heat=1.0)
        latent = fine.place(descended(fine, latent, settings.final_iterations, unheated))
        value = fine.value(latent)
    descended_to = best_of(latent, value)
    latent, value, products = descend_valley(
        fine, latent, value, settings.polish, method.jacobian_bytes
    )
    value = value.nan_to_num(nan=math.inf).double()
    return Ends(latent, value, descended_to, evaluations(ends_calls(settings, products)))


def best_of(
    latent: Points, value: Float[Tensor, "images points"]
) -> Float[Tensor, "images latent"]:
    """Each image's latent of the least value; the first where none is finite."""
    return latent[torch.arange(len(latent)), value.nan_to_num(nan=math.inf).argmin(1)]


def ends_calls(settings: SearchSettings, products: int) -> list[Calls]:
    """Calls of the generator for an image's starts and its `search`.

    The Jacobian of a point takes so many ``products``.
    """
    finalists = number_of_ends(settings)
    calls = [
        Calls(Kind.IMAGES, PROBES, 1),
        *round_calls(settings),
        Calls(Kind.IMAGES, 1, settings.restarts),
    ]
    if settings.final_iterations:
        calls += descent_calls(finalists, settings.final_iterations)
        calls.append(Calls(Kind.IMAGES, 1, finalists))
    return calls + valley_calls(settings.polish, products, finalists)


def number_of_ends(settings: SearchSettings) -> int:
    """How many finalists there are."""
    return min(settings.finalists, settings.restarts)


def size_of_bank(settings: SearchSettings, classes: int) -> int:
    """How many latents each of so many classes has in the bank; 0 classes are one."""
    return bank_size(settings.bank, classes, BANKED * settings.restarts)


def distinct(near: Bool[Tensor, "images points points"]) -> Bool[Tensor, "images points"]:
    """Which points, each image's in order, are near none of those kept before them."""
    kept = torch.zeros(near.shape[:2], dtype=torch.bool, device=near.device)
    for index in range(near.shape[1]):
        kept[:, index] = ~(near[:, :, index] & kept).any(1)
    return kept


@torch.no_grad()
def best_distinct(
    posterior: Posterior, latent: Points, number: int, separation: float
) -> tuple[Float[Tensor, "images kept latent"], Float[Tensor, "images kept"]]:
    """The best ``number`` of the points [images, points, latent], and their values.

    Those near a better one come after all others.

    Their distance is measured by their images, which stands for the curvature between them and
    costs no derivatives.
    """
    value, distance = posterior.value_and_distance(latent)
    order = value.nan_to_num(nan=math.inf).argsort(dim=1, stable=True)
    distance = torch.take_along_dim(distance, order[:, :, None], 1)
    distance = torch.take_along_dim(distance, order[:, None], 2)
    kept = distinct(distance < separation**2)
    first = (~kept).int().argsort(dim=1, stable=True)[:, :number]
    chosen = torch.take_along_dim(order, first, 1)
    return (
        torch.take_along_dim(latent, chosen[..., None], 1),
        torch.take_along_dim(value, chosen, 1),
    )


def descended(posterior: Posterior, start: Points, iterations: int, method: SearchMethod) -> Points:
    """Where heated descents from the points end."""
    restarts = start.shape[1]
    rates = first_rates(method, restarts)
    heats = math.log(max(method.heat / 3, 1.0)), math.log(method.heat)
    log_heat = torch.linspace(*heats, restarts).to(start)

    def objective(latent: Tensor, progress: float, block: Block) -> tuple[Tensor, Tensor]:
        misfit, prior = posterior.terms(latent, block.images)
        heat = torch.exp(log_heat[block.points] * max(0.0, 1 - progress / _HEATED_PART))
        return misfit / heat + prior, misfit + prior

    return descend(objective, start, iterations, rates, posterior.limit)[0]


def first_rates(method: SearchMethod, restarts: int) -> Float[Tensor, " restarts"]:
    """Adam's rate at the start of each restart's descent."""
    return torch.logspace(math.log10(method.learning_rate), math.log10(method.fastest), restarts)


@torch.no_grad()
def _best_candidates(posterior: Posterior, pool: Tensor) -> Tensor:
    """For each restart [images, restarts, latent] its own candidate of the best objective."""
    values = torch.stack([posterior.value(candidates) for candidates in pool.unbind(2)], 2)
    best = values.nan_to_num(nan=math.inf).argmin(2)
    return torch.take_along_dim(pool, best[..., None, None], 2)[:, :, 0]


def _compared(settings: SearchSettings) -> int:
    """How many of these are compared with one another, to keep distinct ones."""
    return min(2 * settings.restarts, _shortlist(settings))


def _shortlist(settings: SearchSettings) -> int:
    """How many latents of the bank are judged for each image."""
    return min(_JUDGED * settings.restarts, settings.bank)


def _banked_starts(
    posterior: Posterior,
    bank: Bank,
    images: Tensor,
    condition: Tensor | None,
    settings: SearchSettings,
    matrix: Tensor | None,
) -> Tensor:
    """For each restart [images, restarts, latent] one of the bank's best distinct latents."""
    method = settings.method
    size = size_of_bank(settings, bank.classes)
    kept, prior = _shortlist(settings), not posterior.confined
    variance, widest = posterior.variance, method.bank_widest
    found = bank.nearest(
        images, condition, variance, size, widest, kept, prior=prior, matrix=matrix
    )
    judged = posterior.place(found)
    # Distances are taken of the better half alone, since all images of a point's rivals must lie
    # side by side for them.
    value = posterior.value(judged).nan_to_num(nan=math.inf)
    best = value.topk(_compared(settings), largest=False).indices
    judged = torch.take_along_dim(judged, best[..., None], 1)
    return best_distinct(posterior, judged, settings.restarts, method.separation)[0]
