"""Guided against classical annealed importance sampling on the shipped generators, group by group.

    python tests/benchmarks/bench_estimators.py digits|fashion [GROUP ...]

prints, for the first 8 images of each group, the mean ln p of both estimators: guided at the
settings of an audit, classical at T = 5000 with 4 chains, 10 leapfrogs and the classic step sizes.
On 2 cores `fashion` takes an hour, nearly all of it classical.
"""

import sys
import time

import torch
from offmanifold.core.generators.protocol import Generator
from offmanifold.core.guided import estimate_guided
from offmanifold.core.likelihood import (
    bound_log_likelihood_above,
    estimate_log_likelihood,
    simulate,
)
from offmanifold.core.settings.classical import ClassicalSettings
from offmanifold.core.settings.guided import GuidedSettings
from offmanifold.workers.datasets import open_dataset
from offmanifold.workers.generators import open_generator
from torch import Tensor

COUNT = 8
GUIDED = GuidedSettings()
CLASSICAL = ClassicalSettings(transitions=5000)
VARIANCES = {"fashion": 0.0089, "digits": 0.00296}
GROUPS = {
    "fashion": {
        "train": ("fashion_mnist", "train"),
        "test": ("fashion_mnist", "test"),
        "single_colour": ("single_colour", ""),
        "mnist": ("mnist", "test"),
    },
    "digits": {
        "train": ("digits", "train"),
        "test": ("digits", "test"),
        "single_colour": ("single_colour", ""),
        "natural_patches": ("natural_patches", ""),
    },
}


def images_of(name: str, group: str, generator: Generator) -> tuple[Tensor, Tensor, Tensor | None]:
    """Images, the classes they are evaluated under, and the latents of simulated ones."""
    classes = torch.arange(COUNT) % generator.num_classes
    if group in ("simulated", "generated"):
        images, latent = simulate(generator, classes, VARIANCES[name], range(COUNT))
        if group == "simulated":
            return images, classes, latent
        return generator(latent, classes).detach(), classes, None
    dataset, split = GROUPS[name][group]
    source = open_dataset(
        dataset, split=split, path=None, image_shape=generator.image_shape, seed=0
    )
    pairs = [source.image(index) for index in range(COUNT)]
    images = torch.stack([torch.from_numpy(pixels) for pixels, _ in pairs])
    if group in ("train", "test"):
        classes = torch.tensor([label for _, label in pairs])
    return images, classes, None


def main(name: str, groups: list[str]) -> None:
    """Prints a line a group."""
    generator, variance = open_generator(f"shipped:{name}").generator, VARIANCES[name]
    for group in groups or [*GROUPS[name], "generated", "simulated"]:
        images, classes, latent = images_of(name, group, generator)
        seeds, began = range(COUNT), time.perf_counter()
        guided = estimate_guided(generator, images, classes, variance, GUIDED, seeds, latent)
        between = time.perf_counter()
        low = guided.log_likelihood
        print(f"{name} {group}: guided {low.mean():.1f} ({between - began:.0f} s)", end="")
        if latent is not None:
            gap = guided.upper_bound - low
            print(f", sandwich gap mean {gap.mean():.2f} median {gap.median():.2f}", end="")
        arguments = (classes, variance, CLASSICAL, seeds)
        classical = estimate_log_likelihood(generator, images, *arguments).log_likelihood
        change = low - classical
        print(
            f"; classical {classical.mean():.1f} ({time.perf_counter() - between:.0f} s); "
            f"guided - classical mean {change.mean():+.2f}, from {change.min():+.1f} to "
            f"{change.max():+.1f}; evaluations {guided.evaluations[0]} and "
            f"{4 * (10 * 4999 + 1)}",
            flush=True,
        )
        if latent is not None:
            upper = bound_log_likelihood_above(generator, images, latent, *arguments)
            gap = upper - classical
            print(f"  classical sandwich gap mean {gap.mean():.2f} median {gap.median():.2f}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
