"""The loops that a shard's time is spent in, each with as many passes as one asks for.

    python -m tests.pretended_device.loops

Prints a JSON line for every way of calling a generator of every family, and one for every loop:
what crossed between host and pretended device in a call, and how much more in twice as many passes.
It should be nothing: on a GPU the host waits for each.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.guided import estimate_guided
from offmanifold.core.inversion import invert
from offmanifold.core.likelihood import (
    bound_log_likelihood_above,
    estimate_log_likelihood,
    simulate,
    tune_step_sizes,
)
from offmanifold.core.posterior import Posterior
from offmanifold.core.sensing import measurement_matrix, restore
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.core.settings.guided import GuidedMethod, GuidedSettings
from offmanifold.core.settings.inversion import InversionSettings
from offmanifold.core.settings.sensing import SensingSettings
from torch import Tensor

from ..small_generators import FAMILIES, small_generator
from .device import crossings_in, leave, pretended_device, register_device

Loop = Callable[[int], object]

VARIANCE = 0.01
CLASSICAL = ClassicalSettings(transitions=3, chains=2, leapfrog_steps=2)
GUIDED = GuidedSettings(
    transitions=3,
    chains=2,
    leapfrog_steps=2,
    restarts=2,
    candidates=1,
    bank=0,
    iterations=1,
    finalists=2,
    final_iterations=0,
    polish=0,
    method=GuidedMethod(modes=2),
)


def calls(
    generator: Generator, device: torch.device, dtype: torch.dtype
) -> Mapping[str, Callable[[], object]]:
    """Each way in which loops call a generator, which is there, on two latents."""
    condition = torch.arange(2, device=device) if generator.num_classes else None
    latent = torch.ones(2, generator.latent_dim, device=device, dtype=dtype)

    def images(points: Tensor) -> Tensor:
        return generator(points, condition)

    def gradient() -> object:
        points = latent.clone().requires_grad_()
        return torch.autograd.grad(images(points).sum(), points)

    def products() -> object:
        def product(tangent: Tensor) -> Tensor:
            derivative: Tensor = torch.func.jvp(images, (latent,), (tangent,))[1]
            return derivative

        return torch.vmap(product)(torch.stack([latent, latent]))

    return {"images": lambda: images(latent), "gradient": gradient, "products": products}


def loops(generator: Generator, device: torch.device, dtype: torch.dtype) -> Mapping[str, Loop]:
    """What runs so many passes of each loop on two simulated images; the generator is there."""
    seeds = (0, 1)
    condition = torch.arange(2, device=device) if generator.num_classes else None
    like = torch.empty(0, device=device, dtype=dtype)
    images, latent = simulate(generator, condition, VARIANCE, seeds, like)
    matrix = measurement_matrix(0, 8, images[0].numel())

    def classical(settings: ClassicalSettings, schedule: Tensor | None = None) -> object:
        chosen = (condition, VARIANCE, settings, seeds, schedule)
        return estimate_log_likelihood(generator, images, *chosen)

    def upper(passes: int) -> object:
        settings = replace(CLASSICAL, transitions=passes + 1)
        return bound_log_likelihood_above(
            generator, images, latent, condition, VARIANCE, settings, seeds
        )

    def tuning(passes: int) -> object:
        settings = replace(CLASSICAL, transitions=passes + 1)
        return tune_step_sizes(generator, images, condition, VARIANCE, settings, seeds)

    def guided(settings: GuidedSettings) -> object:
        return estimate_guided(generator, images, condition, VARIANCE, settings, seeds, latent)

    def low_rank(passes: int) -> None:
        first = None if condition is None else condition[:1]
        posterior = Posterior(generator, images[:1], first, VARIANCE)
        for _ in range(passes):
            posterior.curvature(latent[:1, None], max_bytes=1)

    # Descents along the valley, which "polish" counts, would take most of the time.
    search: dict[str, Any] = {"bank": 16, "restarts": 2, "final_iterations": 0, "polish": 0}

    def inversion(passes: int) -> object:
        settings = InversionSettings(iterations=passes, **search)
        return invert(generator, images, condition, settings, seeds)

    def sensing(passes: int) -> object:
        settings = SensingSettings(iterations=passes, **search)
        return restore(generator, images, condition, matrix, settings, seeds)

    return {
        "leapfrog steps": lambda n: classical(replace(CLASSICAL, leapfrog_steps=n)),
        "adaptive transitions": lambda n: classical(replace(CLASSICAL, transitions=n + 1)),
        "scheduled transitions": lambda n: classical(
            replace(CLASSICAL, transitions=n + 1), torch.full((n,), 0.1, dtype=torch.float64)
        ),
        "reversed transitions": upper,
        "tuning transitions": tuning,
        "guided leapfrog steps": lambda n: guided(replace(GUIDED, leapfrog_steps=n)),
        "guided transitions": lambda n: guided(replace(GUIDED, transitions=n + 1)),
        "candidates": lambda n: guided(replace(GUIDED, candidates=n)),
        "starts from a bank": lambda n: guided(replace(GUIDED, bank=64, restarts=n)),
        "search": lambda n: guided(replace(GUIDED, iterations=n)),
        "finalists": lambda n: guided(replace(GUIDED, final_iterations=n)),
        "polish": lambda n: guided(replace(GUIDED, polish=n)),
        "curvatures of low rank": low_rank,
        "inversion": inversion,
        "sensing": sensing,
    }


def more_in_twice_as_many(
    loop: Loop, passes: int, counted: Callable[[Callable[[], object]], Counter[str]]
) -> Counter[str]:
    """What ``counted`` counts more of in twice as many passes: what belongs to the loop itself."""
    return counted(lambda: loop(2 * passes)) - counted(lambda: loop(passes))


def main() -> None:
    """Prints a line for every family, then one for every loop."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.parse_args()
    generators = {family: small_generator(family) for family in FAMILIES}
    register_device()
    with pretended_device() as device:
        for family, generator in generators.items():
            there = generator.to(device)
            for use, call in calls(there, device, torch.float32).items():
                _print("call", f"{family}: {use}", crossings_in(call))
        dense = generators["dense"].to(device)
        for name, loop in loops(dense, device, torch.float32).items():
            _print("loop", name, more_in_twice_as_many(loop, 1, crossings_in))


def _print(kind: str, name: str, crossings: Counter[str]) -> None:
    json.dump({"kind": kind, "name": name, "crossings": crossings}, sys.stdout)
    print(flush=True)


if __name__ == "__main__":
    main()
    leave()
