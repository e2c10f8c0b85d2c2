"""Which search finds the deepest modes: objectives and agreement of replicates by evaluations.

    python tests/benchmarks/search_curves.py --images FILE.npz --out curves.json --device cuda

Runs one search after the other on images of several groups under the Fashion-MNIST generator, twice
with other random numbers, at equal evaluations, and ends each by the product's own polish. After
every search the table so far is written, so that a killed run loses only the search it was in.
FILE.npz has for every group an array of uint8 images [N, 1, 28, 28], and the classes under the
name GROUP_classes.

Needs of the package its core alone, and torch, NumPy, jaxtyping and safetensors.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from offmanifold.core.descent import descend
from offmanifold.core.generators.architectures import build
from offmanifold.core.polish import polish, polish_evaluations
from offmanifold.core.posterior import Posterior
from offmanifold.core.row_limit import Block, RowLimit
from safetensors.torch import load_file
from torch import Tensor

VARIANCE = 0.00886483337858438
WEIGHTS = Path(__file__).parents[2] / "workers" / "weights" / "fashion"
JACOBIAN_BYTES = 2**28
REPLICATES = 2


class Problem:
    """Images to be searched, a count of the evaluations per image, and the best values so far."""

    def __init__(self, generator, images, classes, variance, seed):
        self.generator, self.images, self.classes = generator, images, classes
        self.variance = variance
        self.posterior = Posterior(generator, images, classes, variance)
        self.latent_dim = generator.latent_dim
        self.random = torch.Generator(images.device).manual_seed(seed)
        self.evaluations = 0.0
        self.best = torch.full((len(images),), math.inf, dtype=torch.float64, device=images.device)
        self.curve: list[tuple[float, Tensor]] = []
        self.banks: dict[object, tuple[Tensor, Tensor]] = {}
        self.largest_bank = 10**7

    def normals(self, *shape: int) -> Tensor:
        shape = (len(self.images), *shape)
        return torch.randn(shape, generator=self.random, device=self.images.device)

    def uniforms(self, *shape: int) -> Tensor:
        shape = (len(self.images), *shape)
        return torch.rand(shape, generator=self.random, device=self.images.device)

    def choices(self, below: int, *shape: int) -> Tensor:
        return (self.uniforms(*shape) * below).long().clamp(max=below - 1)

    def terms(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        self.evaluations += latent.shape[1]
        return self.posterior.terms(latent)

    @torch.no_grad()
    def value(self, latent: Tensor) -> Tensor:
        misfit, prior = self.terms(latent)
        return misfit + prior

    def decode(self, latent: Tensor) -> Tensor:
        points = latent.shape[1]
        labels = self.classes.repeat_interleave(points)
        return self.generator(latent.flatten(0, 1), labels).view(len(latent), points, -1)

    def note(self, value: Tensor) -> None:
        least = value.double().nan_to_num(nan=math.inf).amin(1)
        self.best = torch.minimum(self.best, least)
        self.curve.append((self.evaluations, self.best.clone()))


def take(table: Tensor, index: Tensor) -> Tensor:
    return torch.take_along_dim(table, index.view(*index.shape, *[1] * (table.dim() - 2)), 1)


def adam(problem, start, iterations, heat=(10.0, 30.0), rates=(0.1, 0.4), heated=0.6):
    """The product's descent: rates and heats spread over the points, in geometric steps."""
    points = start.shape[1]
    rate = torch.logspace(math.log10(rates[0]), math.log10(rates[1]), points)
    log_heat = torch.linspace(math.log(heat[0]), math.log(heat[1]), points).to(start)

    def objective(latent: Tensor, progress: float, _: Block) -> tuple[Tensor, Tensor]:
        misfit, prior = problem.terms(latent)
        hot = torch.exp(log_heat * max(0.0, 1 - progress / heated))
        return misfit / hot + prior, misfit + prior

    found, value = descend(objective, start, iterations, rate.to(start), RowLimit())
    problem.note(value)
    return found, value


@torch.no_grad()
def distinct(problem, latent, value, count, radius=0.0, least=4.0):
    """The best ``count`` points; those within a squared radius of a better one come last.

    The squared radius is that of the images, in units of the noise: ``radius`` times the misfit of
    the better point, but not below ``least``.
    """
    order = value.nan_to_num(nan=math.inf).argsort(1)
    latent, value = take(latent, order), take(value, order)
    decoded = problem.decode(latent) / math.sqrt(problem.variance)
    problem.evaluations += latent.shape[1]
    if latent.shape[1] <= 128:
        mode = "donot_use_mm_for_euclid_dist"
        distance = torch.cdist(decoded, decoded, compute_mode=mode).square()
    else:
        distance = torch.cdist(decoded, decoded).square()
    near = distance < (2 * radius * value).clamp(min=least)[:, :, None]
    kept = torch.zeros_like(value, dtype=torch.bool)
    for index in range(latent.shape[1]):
        kept[:, index] = ~(near[:, :, index] & kept).any(1)
    first = (~kept).int().argsort(dim=1, stable=True)[:, :count]
    return take(latent, first), take(value, first)


def drawn(problem, count, candidates=8, widest=3.5):
    """For each start the best of its candidates from N(0, s^2), s from 1 to ``widest``."""
    scale = torch.linspace(1.0, widest, count, device=problem.images.device)
    pool = scale[:, None, None] * problem.normals(count, candidates, problem.latent_dim)
    value = torch.stack([problem.value(part) for part in pool.unbind(2)], 2)
    return torch.take_along_dim(pool, value.argmin(2)[..., None, None], 2)[:, :, 0]


@torch.no_grad()
def banked(problem, count, size=100_000, scales=(1.0, 4.0), keep=256, radius=0.0, seed=0):
    """Starts that cost no evaluations: the best of a bank that is shared by a class's images.

    Each replicate has a bank of its own.
    """
    device, latent_dim = problem.images.device, problem.latent_dim
    size = min(size, problem.largest_bank)
    key = (size, scales, keep, seed)
    if key not in problem.banks:
        latents = torch.zeros(len(problem.images), keep, latent_dim, device=device)
        values = torch.full((len(problem.images), keep), math.inf, device=device)
        flat = problem.images.flatten(1)
        replicate = torch.arange(len(flat), device=device) * REPLICATES // len(flat)
        for number in range(REPLICATES):
            random = torch.Generator(device).manual_seed(1000 * seed + number)
            for label in problem.classes.unique():
                rows = ((problem.classes == label) & (replicate == number)).nonzero()[:, 0]
                if not len(rows):
                    continue
                for _ in range(max(1, size // 10_000)):
                    part = min(size, 10_000)
                    scale = torch.empty(part, 1, device=device)
                    scale.uniform_(*scales, generator=random)
                    normals = torch.randn(part, latent_dim, generator=random, device=device)
                    latent = scale * normals
                    decoded = problem.generator(latent, label.expand(part)).flatten(1)
                    squares = decoded.square().sum(1) - 2 * flat[rows] @ decoded.T
                    squares += flat[rows].square().sum(1, keepdim=True)
                    value = squares / (2 * problem.variance) + 0.5 * latent.square().sum(1)
                    least, index = value.topk(min(keep, part), largest=False)
                    whole = torch.cat([values[rows], least], 1)
                    points = torch.cat([latents[rows], latent[index]], 1)
                    values[rows], chosen = whole.topk(keep, largest=False)
                    latents[rows] = take(points, chosen)
        problem.banks[key] = latents, values
    latents, values = problem.banks[key]
    before = problem.evaluations
    found, _ = distinct(problem, latents, values, count, radius)
    problem.evaluations = before
    return found


def starts(problem, count, bank=None, widest=3.5, candidates=8, radius=0.0):
    if bank is None:
        return drawn(problem, count, candidates, widest)
    return banked(problem, count, bank, radius=radius, keep=max(256, 2 * count))


def restarts(problem, budget, iterations=100, finals=0.2, final_iterations=200, bank=None, **own):
    """Today's: independent restarts, the best of which descend on without heat."""
    cost = iterations + 2 + (0 if bank else 8)
    finalists = max(4, round(finals * budget / (final_iterations + 2)))
    count = max(finalists, round((budget - finalists * (final_iterations + 2)) / cost))
    latent, value = adam(problem, starts(problem, count, bank), iterations, **own)
    latent, value = distinct(problem, latent, value, finalists)
    return adam(problem, latent, final_iterations, heat=(1.0, 1.0))


def blur(width: float, side: int, like: Tensor) -> Tensor:
    """A matrix that blurs rows or columns by a Gaussian of so many pixels."""
    position = torch.arange(side).to(like)
    kernel = torch.exp(-0.5 * ((position[:, None] - position) / max(width, 1e-3)).square())
    return kernel / kernel.sum(0).amax()


def blurred(problem, budget, width=4.0, heat=(3.0, 10.0), heated=0.6, bank=None):
    """Restarts that at first fit blurred images, so that strokes feel others that they miss."""
    finalists = max(4, round(0.2 * budget / 202))
    count = round((budget - 202 * finalists) / 102)
    start = starts(problem, count, bank)
    rate = torch.logspace(-1.0, math.log10(0.4), count)
    log_heat = torch.linspace(math.log(heat[0]), math.log(heat[1]), count).to(start)
    shape = problem.images.shape[1:]

    def objective(latent: Tensor, progress: float, block: Block) -> tuple[Tensor, Tensor]:
        problem.evaluations += latent.shape[1]
        labels = problem.classes[block.images].repeat_interleave(latent.shape[1])
        decoded = problem.generator(latent.flatten(0, 1), labels)
        images = problem.images[block.images, None]
        residual = decoded.view(*latent.shape[:2], *shape) - images
        left = max(0.0, 1 - progress / heated)
        down, across = (blur(width * left, side, residual) for side in shape[1:])
        smooth = residual if left == 0 else down @ residual @ across
        prior = 0.5 * latent.square().sum(2)
        fit, misfit = (
            each.square().sum((2, 3, 4)) / (2 * problem.variance) for each in (smooth, residual)
        )
        return fit / torch.exp(log_heat[block.points] * left) + prior, misfit + prior

    latent, value = descend(objective, start, 100, rate.to(start), RowLimit())
    problem.note(value)
    latent, value = distinct(problem, latent, value, finalists)
    return adam(problem, latent, 200, heat=(1.0, 1.0))


def halving(problem, budget, first=20, growth=2, levels=4, bank=None, heats=(30.0, 10.0, 3.0, 1.0)):
    """Successive halving: all starts a little, the better half further, cooler at every level."""
    cost = sum((first * growth**k + 2) * 0.5**k for k in range(levels)) + (0 if bank else 8)
    count = round(budget / cost)
    latent = starts(problem, count, bank)
    for level in range(levels):
        hot = heats[level]
        latent, value = adam(problem, latent, first * growth**level, heat=(max(1, hot / 3), hot))
        latent, value = distinct(problem, latent, value, max(8, math.ceil(latent.shape[1] / 2)))
    return latent, value


@dataclass(frozen=True)
class Cooling:
    """Settings of `survivors`."""

    points: int = 32
    stages: int = 8
    # The heat at the beginning of each cycle; it falls to 1 in equal ratios.
    hottest: tuple[float, ...] = (100.0,)
    rate: float = 0.2
    # The share of the points that survives a stage; the others are children of the survivors.
    kept: float = 0.5
    scale: float = 0.5
    # The share of children that lie between two survivors.
    crossed: float = 0.0
    radius: float = 0.0
    # The number of points falls to this share of it, in equal ratios, as a cycle cools.
    narrowing: float = 1.0
    bank: int | None = None
    # The share of the budget that rounds of `hops` have at the end.
    hopping: float = 0.0


def survivors(problem, budget, settings=Cooling()):
    """From large variances to small: all descend, the better survive and have children."""
    used = settings
    latent = starts(problem, used.points, used.bank)
    left = (1 - used.hopping) * budget / len(used.hottest)
    value = latent[..., 0]
    for hottest in used.hottest:
        counts = [
            max(4, round(used.points * used.narrowing ** (stage / max(1, used.stages - 1))))
            for stage in range(used.stages)
        ]
        iterations = max(1, round(left / sum(counts)) - 3)
        for stage, count in enumerate(counts):
            hot = hottest ** (1 - stage / used.stages)
            cooler = hottest ** (1 - (stage + 1) / used.stages)
            latent, _ = cooled(problem, latent[:, :count], iterations, hot, cooler, used.rate)
            misfit, prior = problem.terms(latent)
            value = misfit + prior
            if stage < used.stages - 1 or hottest != used.hottest[-1]:
                following = counts[stage + 1] if stage + 1 < used.stages else counts[0]
                kept = max(2, min(round(used.kept * following), latent.shape[1]))
                heated = misfit / cooler + prior
                latent, _ = distinct(problem, latent, heated, kept, used.radius, 4.0 / cooler)
                bred = bred_from(problem, latent, following - kept, used)
                latent = torch.cat([latent, bred], 1)
    problem.note(value)
    if used.hopping:
        rest = used.hopping * budget
        return hops_from(problem, latent, value, rest, Hops(heat=(10.0, 30.0), crossed=0.5))
    return latent, value


def bred_from(problem, latent, count, used):
    """Perturbed survivors, some of them crossed."""
    parents = latent.shape[1]
    number = torch.arange(count, device=latent.device).remainder(parents)
    child = latent[:, number]
    if used.crossed:
        other = take(latent, problem.choices(parents, count))
        mask = (problem.uniforms(count, problem.latent_dim) < 0.5).to(latent)
        crossed = problem.uniforms(count, 1) < used.crossed
        child = torch.where(crossed, mask * child + (1 - mask) * other, child)
    return child + used.scale * problem.normals(count, problem.latent_dim)


def cooled(problem, start, iterations, hot, cooler, first_rate):
    """A descent at a heat that falls from one to another; judged by the cooler objective."""

    def objective(latent: Tensor, progress: float, _: Block) -> tuple[Tensor, Tensor]:
        misfit, prior = problem.terms(latent)
        now = hot ** (1 - progress) * cooler**progress
        problem.note((misfit + prior).detach())
        return misfit / now + prior, misfit / cooler + prior

    return descend(objective, start, iterations, first_rate, RowLimit())


def annealing(problem, budget, points=32, hottest=300.0, rate=0.05, every=10, bank=None):
    """Population annealing: preconditioned Langevin steps as the heat falls, and resampling."""
    latent = starts(problem, points, bank)
    steps = round(budget / points) - 12
    second = torch.zeros_like(latent)
    best, best_value = latent, torch.full(latent.shape[:2], math.inf).to(latent)

    def heat_at(step: int) -> float:
        return hottest ** max(0.0, 1 - step / steps)

    for step in range(steps):
        heat = heat_at(step)
        with torch.enable_grad():
            point = latent.detach().requires_grad_()
            misfit, prior = problem.terms(point)
            (gradient,) = torch.autograd.grad((misfit / heat + prior).sum(), point)
        with torch.no_grad():
            value = misfit + prior
            better = value < best_value
            best = torch.where(better[..., None], point, best)
            best_value = torch.where(better, value, best_value)
            if step and step % every == 0:
                gain = misfit.double() * (1 / heat_at(step + every) - 1 / heat)
                share = (-gain).softmax(1).cumsum(1)
                grid = torch.arange(points, device=latent.device) + problem.uniforms(1)
                index = torch.searchsorted(share, grid.double() / points).clamp(max=points - 1)
                latent, gradient, second = (take(t, index) for t in (latent, gradient, second))
            second = 0.95 * second + 0.05 * gradient.square()
            scale = (1 - 0.95 ** (step + 1)) / (second + 1e-12)
            size = rate * scale.sqrt().clamp(max=1.0)
            noise = problem.normals(points, problem.latent_dim)
            latent = latent - size * gradient + (2 * size).sqrt() * noise
    problem.note(best_value)
    return adam(problem, distinct(problem, best, best_value, 8)[0], 100, heat=(1.0, 1.0))


def evolution(problem, budget, points=32, offspring=100, sigma=0.5, bank=None):
    """CMA-ES-like: no gradients until the end, the covariance follows the better quarter."""
    latent = starts(problem, points, bank)
    value = problem.value(latent)
    mean = take(latent, value.argmin(1)[:, None])[:, 0]
    dimension = problem.latent_dim
    covariance = torch.eye(dimension, device=mean.device).expand(len(mean), -1, -1)
    kept = offspring // 4
    weight = torch.linspace(1, 1 / kept, kept, device=mean.device)
    weight = weight / weight.sum()
    best, best_value = latent, value
    for _ in range(round(0.8 * budget / offspring)):
        lower = torch.linalg.cholesky_ex(covariance)[0]
        moved = problem.normals(offspring, dimension) @ lower.mT
        trial = mean[:, None] + sigma * moved
        value = problem.value(trial)
        order = value.argsort(1)[:, :kept]
        step = (weight[:, None] * take(moved, order)).sum(1)
        chosen = take(moved, order)
        spread = (weight[:, None, None] * chosen[..., None] * chosen[..., None, :]).sum(1)
        covariance = 0.8 * covariance + 0.2 * spread + 1e-6 * torch.eye(dimension).to(mean)
        mean = mean + sigma * step
        joined, values = torch.cat([best, trial], 1), torch.cat([best_value, value], 1)
        order = values.argsort(1)[:, :points]
        best, best_value = take(joined, order), take(values, order)
        problem.note(best_value)
    latent, value = distinct(problem, best, best_value, 8)
    return adam(problem, latent, max(20, round(0.2 * budget / 8)), heat=(1.0, 1.0))


@dataclass(frozen=True)
class Hops:
    """Settings of `hops`."""

    fresh: int = 32
    fresh_iterations: int = 60
    parents: int = 8
    children: int = 16
    iterations: int = 40
    scales: tuple[float, float] = (0.3, 1.2)
    heat: tuple[float, float] = (3.0, 10.0)
    rates: tuple[float, float] = (0.1, 0.4)
    radius: float = 0.02
    # Share of children that lie between two parents, and of those moved by a difference of two.
    crossed: float = 0.0
    difference: float = 0.0
    # Perturbations in the metric of the posterior at this heat; 0 is a plain one.
    shaped: float = 0.0
    # Parents' number falls to this as the budget is used up.
    last_parents: int = 2
    # Chains on their own: a child replaces its own parent alone.
    own: bool = False
    # Rounds of Levenberg-Marquardt for every child.
    ends: int = 0
    bank: int | None = None
    fresh_share: float = 0.0


def hops(problem, budget, settings=Hops()):
    """Basin hopping: rounds of perturbed parents that descend, at first heated again."""
    used = settings
    fresh = used.fresh
    if used.fresh_share:
        fresh = round(used.fresh_share * budget / (used.fresh_iterations + 10))
    latent = starts(problem, fresh, used.bank, radius=used.radius)
    latent, value = adam(problem, latent, used.fresh_iterations, rates=used.rates)
    return hops_from(problem, latent, value, budget - problem.evaluations, used)


def hops_from(problem, latent, value, budget, used):
    """The rounds of `hops` from these points on."""
    latent_dim = problem.latent_dim
    latent, value = distinct(problem, latent, value, used.parents, used.radius)
    ending = polish_evaluations(used.ends, latent_dim) if used.ends else 0
    cost = used.children * (used.iterations + 1 + ending) + used.children + used.parents
    if used.shaped:
        cost += used.parents * latent_dim
    rounds = max(1, int(budget / cost))
    for index in range(rounds):
        progress = index / max(1, rounds - 1)
        wanted = used.parents * (used.last_parents / used.parents) ** progress
        parents = max(1, min(latent.shape[1], round(wanted)))
        latent, value = latent[:, :parents], value[:, :parents]
        child, parent = children(problem, latent, used)
        child, child_value = adam(problem, child, used.iterations, used.heat, used.rates)
        if used.ends:
            child, child_value = polished(problem, child, child_value, used.ends)
            child_value = child_value.float()
        if used.own:
            for number in range(child.shape[1]):
                column = parent[:, number : number + 1]
                new = child_value[:, number : number + 1]
                better = new < value.gather(1, column)
                value = value.scatter(1, column, torch.where(better, new, value.gather(1, column)))
                rows = torch.where(
                    better[..., None],
                    child[:, number : number + 1],
                    latent.gather(1, column[..., None].expand(-1, -1, latent_dim)),
                )
                latent = latent.scatter(1, column[..., None].expand(-1, -1, latent_dim), rows)
            order = value.argsort(1)
            latent, value = take(latent, order), take(value, order)
        else:
            latent = torch.cat([latent, child], 1)
            value = torch.cat([value, child_value], 1)
            latent, value = distinct(problem, latent, value, used.parents, used.radius)
    return latent, value


def children(problem, latent, used):
    """The next starts, and the number of each one's parent."""
    parents, count = latent.shape[1], used.children
    if used.own:
        parent = torch.arange(count, device=latent.device).remainder(parents)
        parent = parent.expand(len(latent), -1)
    else:
        # Of two drawn the better: parents are in descending order.
        parent = torch.minimum(problem.choices(parents, count), problem.choices(parents, count))
    first = take(latent, parent)
    low, high = used.scales
    scale = low * (high / low) ** problem.uniforms(count, 1)
    normals = problem.normals(count, problem.latent_dim)
    if used.shaped:
        curvature = problem.posterior.curvature(latent, JACOBIAN_BYTES)
        problem.evaluations += parents * curvature.products
        directions = curvature.directions.unflatten(0, latent.shape[:2])
        eigenvalue = curvature.eigenvalue.unflatten(0, latent.shape[:2]).to(latent)
        factor = torch.rsqrt(1 + eigenvalue / used.shaped)
        along = (normals[..., None, :] @ take(directions, parent))[..., 0, :]
        along = along * take(factor, parent)
        normals = (take(directions, parent) @ along[..., None])[..., 0]
    child = first
    if used.crossed:
        other = take(latent, problem.choices(parents, count))
        mask = (problem.uniforms(count, problem.latent_dim) < 0.5).to(latent)
        crossed = problem.uniforms(count, 1) < used.crossed
        child = torch.where(crossed, mask * first + (1 - mask) * other, first)
    if used.difference:
        gap = take(latent, problem.choices(parents, count))
        gap = gap - take(latent, problem.choices(parents, count))
        moved = problem.uniforms(count, 1) < used.difference
        child = torch.where(moved, child + 0.7 * gap, child)
    return child + scale * normals, parent


def polished(problem, latent, value, rounds):
    """The product's Levenberg-Marquardt."""
    latent, value, curvature = polish(
        problem.posterior, latent, value.double(), rounds, JACOBIAN_BYTES
    )
    cost = polish_evaluations(rounds, curvature.products)
    problem.evaluations += latent.shape[1] * cost
    problem.note(value)
    return latent, value


def finished(problem, latent, value, modes=8, rounds=8):
    """The product's end of a search: the best distinct modes, polished."""
    latent, value = distinct(problem, latent, value, modes)
    return polished(problem, latent, value, rounds)


Search = Callable[..., tuple[Tensor, Tensor]]
ENDING = 8 * polish_evaluations(8, 32)
TODAY = 10_185


def hopping(**settings) -> Search:
    return lambda problem, budget: hops(problem, budget, Hops(**settings))


def with_settings(search: Search, **settings) -> Search:
    return lambda problem, budget: search(problem, budget, **settings)


def cooling(**settings) -> Search:
    return lambda problem, budget: survivors(problem, budget, Cooling(**settings))


BANK = 100_000
HOT = (10.0, 30.0)
SEARCHES: dict[str, Search] = {
    "today": with_settings(restarts),
    "restarts, bank": with_settings(restarts, bank=BANK),
    "restarts, bank, half of them": lambda problem, budget: restarts(
        problem, 0.5 * budget, final_iterations=100, bank=BANK
    ),
    "restarts, bank, fewer and longer": with_settings(restarts, iterations=310, bank=BANK),
    "restarts, bank, faster": with_settings(restarts, bank=BANK, rates=(0.2, 0.8)),
    "restarts, bank, unheated": with_settings(restarts, bank=BANK, heat=(1.0, 1.0)),
    "blurred, bank": with_settings(blurred, bank=BANK),
    "hops": hopping(),
    "hops, bank, hotter": hopping(bank=BANK, heat=HOT),
    "hops, bank of a million, hotter": hopping(bank=1_000_000, heat=HOT),
    "cooling, 5 stages": cooling(stages=5),
    "cooling, 5 stages, bank": cooling(stages=5, bank=BANK),
    "cooling, 128 points, 4 stages": cooling(points=128, stages=4),
    "halving, bank": with_settings(halving, bank=BANK),
    "annealing": with_settings(annealing),
    "evolution, bank": with_settings(evolution, bank=BANK),
    "restarts, bank of a million": with_settings(restarts, bank=1_000_000),
    "cooling, narrowing": cooling(points=64, narrowing=0.125),
    "cooling": cooling(),
    "cooling, bank": cooling(bank=BANK),
    "cooling, 64 points, 6 stages": cooling(points=64, stages=6),
    "cooling, 16 points": cooling(points=16),
    "cooling, 128 points": cooling(points=128),
    "cooling, crossed": cooling(crossed=0.5),
    "cooling, from 30": cooling(hottest=(30.0,)),
    "cooling, from 1000": cooling(hottest=(1000.0,)),
    "cooling, twice": cooling(hottest=(100.0, 10.0)),
    "cooling, then hops": cooling(stages=5, hopping=0.4),
    "cooling, faster": cooling(rate=0.4),
    "cooling, slower": cooling(rate=0.1),
    "cooling, moved farther": cooling(scale=1.0),
    "cooling, moved less": cooling(scale=0.2),
    "cooling, a quarter survives": cooling(kept=0.25),
    "cooling, three quarters survive": cooling(kept=0.75),
    "cooling, radius 0.02": cooling(radius=0.02),
    "cooling, narrowing, crossed, bank": cooling(
        points=64, narrowing=0.125, crossed=0.5, bank=BANK
    ),
    "hops, bank, crossed, hotter": hopping(bank=BANK, crossed=0.5, heat=HOT),
    "hops, bank, half fresh, hotter": hopping(bank=BANK, fresh_share=0.5, heat=HOT),
    "hops, bank, own chains, hotter": hopping(bank=BANK, own=True, children=8, heat=HOT),
    "hops, bank, shaped, hotter": hopping(bank=BANK, shaped=100.0, scales=(0.5, 2.0), heat=HOT),
    "hops, bank, differences, hotter": hopping(bank=BANK, difference=0.5, heat=HOT),
    "hops, bank, unheated": hopping(bank=BANK, heat=(1.0, 1.0)),
    "hops, bank, wide, hotter": hopping(bank=BANK, scales=(0.6, 2.5), heat=HOT),
    "hops, bank, 80 steps, hotter": hopping(bank=BANK, iterations=80, children=10, heat=HOT),
    "hops, bank, polished ends": hopping(bank=BANK, iterations=25, children=8, ends=1),
    "hops, bank, radius 0.1, hotter": hopping(bank=BANK, radius=0.1, heat=HOT),
}
# One of each kind, then the curves, then the rest.
FIRST = 18
CURVES = (
    ("hops, bank, hotter", 10),
    ("today", 10),
    ("today", 3),
    ("hops, bank of a million, hotter", 3),
    ("cooling, 5 stages, bank", 3),
    ("cooling, 128 points", 3),
    ("restarts, bank of a million", 3),
)


def load(path: Path, count: int, device: torch.device):
    """Images, classes and the number of each one's group."""
    archive = np.load(path)
    names = [name for name in archive.files if not name.endswith("_classes")]
    images, classes, groups = [], [], []
    for number, name in enumerate(names):
        part = archive[name][:count].astype(np.float32) / 255
        images.append(torch.from_numpy(part))
        classes.append(torch.from_numpy(archive[f"{name}_classes"][:count].astype(np.int64)))
        groups.append(torch.full((len(part),), number))
    joined = (torch.cat(part) for part in (images, classes, groups))
    first, second, third = (part.to(device) for part in joined)
    return names, first, second, third


def fashion(device: torch.device):
    """The shipped Fashion-MNIST generator."""
    config = json.loads((WEIGHTS / "config.json").read_text())
    generator = build("generator", config["architecture"], config["arguments"])
    generator.load_state_dict(load_file(WEIGHTS / "model.safetensors"))
    return generator.eval().requires_grad_(False).to(device)


def measured(name, times, generator, images, classes, groups, names, banks, largest):
    """One search of both replicates, polished: a row of the table for each group."""
    repeated = images.repeat(REPLICATES, 1, 1, 1)
    seed = sum(map(ord, name)) + int(7919 * times)
    labels = classes.repeat(REPLICATES)
    problem = Problem(generator, repeated, labels, VARIANCE, seed)
    problem.banks, problem.largest_bank = banks, largest
    began = time.perf_counter()
    latent, value = SEARCHES[name](problem, times * TODAY)
    before, searched = problem.best.clone(), problem.evaluations
    finished(problem, latent, value)
    if images.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - began
    final = problem.best.view(REPLICATES, -1).cpu()
    earlier = before.view(REPLICATES, -1).cpu()
    rows = {}
    for number, group in enumerate(names):
        chosen = (groups == number).cpu()
        gap = (final[0] - final[1]).abs()[chosen]
        rows[group] = {
            "mean": final[:, chosen].mean().item(),
            "before polish": earlier[:, chosen].mean().item(),
            "gap median": gap.median().item(),
            "gap 90%": gap.quantile(0.9).item(),
            "gap most": gap.max().item(),
            "values": final[:, chosen].tolist(),
            "curve": [
                (spent, best.view(REPLICATES, -1).cpu()[:, chosen].mean().item())
                for spent, best in problem.curve[:: max(1, len(problem.curve) // 20)]
            ],
        }
    return {
        "search": name,
        "times": times,
        "evaluations": problem.evaluations,
        "searched": searched,
        "seconds": seconds,
        "groups": rows,
    }


def show(row) -> None:
    print(f"{row['search']} x{row['times']}: {row['evaluations']:.0f}, {row['seconds']:.1f} s")
    for group, found in row["groups"].items():
        print(
            f"    {group:14} mean {found['mean']:8.1f} (before the polish "
            f"{found['before polish']:8.1f}), replicates differ by {found['gap median']:6.1f} "
            f"/ {found['gap 90%']:6.1f} / {found['gap most']:6.1f}"
        )


def main() -> None:
    """Runs the searches in order until the time is up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=290.0)
    parser.add_argument("--times", type=float, help="replaces every budget; to try the script")
    parser.add_argument("--bank", type=int, default=10**7, help="the largest a class may have")
    parser.add_argument("--only", action="append", help="a search's name; may be given again")
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    if device.type == "cpu":
        torch.set_num_threads(1)
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    began = time.perf_counter()
    generator = fashion(device)
    names, images, classes, groups = load(arguments.images, arguments.count, device)
    wanted = [(name, arguments.times or 1.0) for name in SEARCHES]
    if arguments.times is None:
        wanted[FIRST:FIRST] = CURVES
    banks: dict[object, tuple[Tensor, Tensor]] = {}
    table, pace, largest = [], 0.0, arguments.bank
    for name, times in wanted:
        if arguments.only and name not in arguments.only:
            continue
        left = arguments.seconds - (time.perf_counter() - began)
        # A long one may take a third of what is left.
        if pace * times > (left / 3 if times >= 10 else left):
            print(f"{name} x{times}: left out, {left:.0f} s are left")
            continue
        try:
            row = measured(name, times, generator, images, classes, groups, names, banks, largest)
        except RuntimeError as error:
            print(f"{name} x{times}: {error}"[:2000])
            continue
        pace = max(0.7 * pace, row["seconds"] / times)
        show(row)
        table.append(row)
        arguments.out.write_text(json.dumps(table))


if __name__ == "__main__":
    main()
