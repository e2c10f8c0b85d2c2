"""The ``likelihood`` and ``convergence`` stages: ln p(x) by annealed importance sampling."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..core.generators.protocol import Generator
from ..core.image_metrics import bits_per_dim
from ..core.likelihood import (
    AISSettings,
    bound_log_likelihood_above,
    estimate_log_likelihood,
    simulate,
)
from .conditions import condition_tensor
from .outcome import Failure, Outcome
from .resources import Resources
from .shard import Item


def ais_settings(settings: Mapping[str, Any]) -> AISSettings:
    """The sampler's settings out of a shard's."""
    return AISSettings(
        transitions=settings["transitions"],
        chains=settings["chains"],
        leapfrog_steps=settings["leapfrog_steps"],
        sigmoid_radius=settings["sigmoid_radius"],
    )


def compute(
    items: Sequence[Item], settings: Mapping[str, Any], resources: Resources
) -> list[Outcome]:
    """Rows of the ``likelihood`` table.

    Images simulated from the model also get the upper bound of the reversed chains, under the
    condition that made them. An estimate that is not finite is a failure.
    """
    generator = resources.generator(settings)
    condition = condition_tensor(items, resources.device)
    simulated = items[0].image_seed is not None
    images, latent = (
        _simulated(generator, items, settings, resources.device)
        if simulated
        else (resources.images(items), None)
    )
    schedule = _schedule(settings)
    seeds = [item.seed for item in items]
    estimate = estimate_log_likelihood(
        generator, images, condition, settings["variance"], ais_settings(settings), seeds, schedule
    )
    upper = (
        [None] * len(items)
        if latent is None
        else _upper_bounds(generator, items, images, latent, settings, resources.device)
    )
    dimensions = math.prod(generator.image_shape)
    return [
        {
            "variance": settings["variance"],
            "transitions": settings["transitions"],
            "log_likelihood": log_likelihood,
            "bits_per_dim": bits,
            "chain_log_weights": log_weights,
            "acceptance": acceptance,
            "step_size": step_size,
            "effective_sample_size": sample_size,
            "upper_bound": bound,
        }
        if math.isfinite(log_likelihood)
        else Failure(f"the log likelihood is {log_likelihood}; is the generator's output finite?")
        for log_likelihood, bits, log_weights, acceptance, step_size, sample_size, bound in zip(
            estimate.log_likelihood.tolist(),
            bits_per_dim(estimate.log_likelihood.cpu().numpy(), dimensions).tolist(),
            estimate.chain_log_weights.tolist(),
            estimate.acceptance.tolist(),
            estimate.step_size.tolist(),
            estimate.effective_sample_size.tolist(),
            upper,
            strict=True,
        )
    ]


def _schedule(settings: Mapping[str, Any]) -> Tensor | None:
    schedule = settings["step_size_schedule"]
    return None if schedule is None else torch.tensor(schedule, dtype=torch.float64)


def _simulated(
    generator: Generator,
    items: Sequence[Item],
    settings: Mapping[str, Any],
    device: torch.device,
) -> tuple[Tensor, Tensor]:
    own = None
    if generator.num_classes:
        own = torch.tensor([item.label for item in items], dtype=torch.int64, device=device)
    seeds = [item.image_seed for item in items if item.image_seed is not None]
    with torch.no_grad():
        return simulate(generator, own, settings["variance"], seeds)


def _upper_bounds(
    generator: Generator,
    items: Sequence[Item],
    images: Tensor,
    latent: Tensor,
    settings: Mapping[str, Any],
    device: torch.device,
) -> list[float | None]:
    bounds: list[float | None] = [None] * len(items)
    rows = [index for index, item in enumerate(items) if item.condition in (None, item.label)]
    if rows:
        own = [items[index] for index in rows]
        values = bound_log_likelihood_above(
            generator,
            images[rows],
            latent[rows],
            condition_tensor(own, device),
            settings["variance"],
            ais_settings(settings),
            [item.seed for item in own],
            _schedule(settings),
        )
        for index, value in zip(rows, values.tolist(), strict=True):
            bounds[index] = value
    return bounds
