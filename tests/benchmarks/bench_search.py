"""Where the guided estimator's settings come from: heat and rates of its search, lengths of chains.

    python -m tests.benchmarks.bench_search search|chains
    python -m tests.benchmarks.bench_search inversion [--only NAME] [--group GROUP]

`search` prints, for 32 images simulated from the Fashion-MNIST generator, how far the best mode of
searches with other heats and rates stays above the best that any of them or a descent from the
image's own latent found. `chains` prints the sandwich gap of 32 others, two with a posterior
that bends away from its mode, for chains of 6,000 evaluations. `inversion` prints the mean squared
errors of eight images of each group, whole and with parts of the search left out. The first two
take about ten minutes of a core, an inversion of one group two, and decoding its bank as much.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace

import torch
from offmanifold.core.bank import Bank
from offmanifold.core.guided import estimate_guided
from offmanifold.core.inversion import invert
from offmanifold.core.likelihood import simulate
from offmanifold.core.modes import find_modes
from offmanifold.core.settings.guided import GuidedMethod, GuidedSettings
from offmanifold.core.settings.inversion import InversionSettings
from offmanifold.workers.generators import open_generator
from torch import Tensor

from .bench_estimators import GROUPS, images_of

COUNT, VARIANCE = 32, 0.0089
FIRST_SEED = {"search": 2000, "chains": 3000}
AUDIT = GuidedSettings()
SEARCHES = {
    "no heat": replace(AUDIT, method=GuidedMethod(heat=1.0)),
    "rate 0.4 throughout": replace(AUDIT, method=GuidedMethod(learning_rate=0.4)),
    "starts from the prior alone": replace(AUDIT, method=GuidedMethod(widest=1.0)),
    "one round, hardly polished": replace(
        AUDIT, restarts=24, candidates=64, iterations=450, final_iterations=0, polish=1
    ),
    "as in an audit": AUDIT,
}
FEWER = replace(AUDIT, restarts=12)
CHAINS = {
    "10 leapfrogs": replace(FEWER, transitions=151, leapfrog_steps=10),
    "5 leapfrogs": replace(FEWER, transitions=301, leapfrog_steps=5),
    "a jitter of 30%": replace(FEWER, method=GuidedMethod(jitter=0.3)),
    "equal increments": replace(FEWER, method=GuidedMethod(growth=1.001)),
    "increments growing ninefold": replace(FEWER, method=GuidedMethod(growth=9.0)),
    "no wide components": replace(FEWER, method=GuidedMethod(wide_weight=1e-9)),
    "inflation 1.5": replace(FEWER, inflation=1.5),
    "as in an audit": FEWER,
}

INVERTED = [*GROUPS["fashion"], "generated"]
INVERSION = InversionSettings()
INVERSIONS = {
    "without a bank": replace(INVERSION, bank=0),
    "without a polish": replace(INVERSION, polish=0, final_iterations=400),
    "from as many latents as the estimator": replace(INVERSION, bank=AUDIT.bank),
    "as in an audit": INVERSION,
}


def inversion(names: Sequence[str], groups: Sequence[str]) -> None:
    """Prints the errors of each inversion, group by group."""
    generator = open_generator("shipped:fashion").generator
    banks = {name: Bank(generator) for name in names}
    for group in groups:
        images, classes, _ = images_of("fashion", group, generator)
        for name, bank in banks.items():
            seeds = range(len(images))
            result = invert(generator, images, classes, INVERSIONS[name], seeds, bank=bank)
            print(
                f"{group}, {name}: {result.evaluations} evaluations, mean {result.mse.mean():.5f}, "
                f"median {result.mse.median():.5f} of {len(images)}",
                flush=True,
            )


def search(images: Tensor, latent: Tensor, classes: Tensor, seeds: range) -> None:
    """Prints how far each search's best mode is from the best known one."""
    generator = open_generator("shipped:fashion").generator
    best = {}
    for name, settings in SEARCHES.items():
        modes = find_modes(generator, images, classes, VARIANCE, settings, seeds).modes
        best[name] = modes.negative_log_joint.amin(1)
    exact = replace(AUDIT, restarts=1, polish=20)
    exact_modes = find_modes(
        generator, images, classes, VARIANCE, exact, seeds, known=latent[:, None]
    ).modes
    known = torch.stack([*best.values(), exact_modes.negative_log_joint.amin(1)]).amin(0)
    for name, value in best.items():
        miss = value - known
        print(
            f"{name}: {int((miss > 3).sum())} of {COUNT} images miss by more than 3 nats; "
            f"mean {miss.mean():.2f}, worst {miss.max():.1f}"
        )


def chains(images: Tensor, latent: Tensor, classes: Tensor, seeds: range) -> None:
    """Prints the sandwich gap of each kind of chains."""
    generator = open_generator("shipped:fashion").generator
    for name, settings in CHAINS.items():
        found = estimate_guided(generator, images, classes, VARIANCE, settings, seeds, latent)
        gap = found.upper_bound - found.log_likelihood
        print(
            f"{name}: gap mean {gap.mean():.2f}, median {gap.median():.2f}, worst {gap.max():.1f}, "
            f"acceptance {found.acceptance.mean():.2f}",
            flush=True,
        )


def main() -> None:
    """Prints one of the comparisons."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("which", choices=[*FIRST_SEED, "inversion"])
    parser.add_argument("--only", action="append", choices=INVERSIONS, help="an inversion")
    parser.add_argument("--group", action="append", choices=INVERTED, help="its images")
    arguments = parser.parse_args()
    if arguments.which == "inversion":
        inversion(arguments.only or list(INVERSIONS), arguments.group or INVERTED)
        return
    first = FIRST_SEED[arguments.which]
    seeds = range(first, first + COUNT)
    classes = torch.arange(COUNT) % 10
    generator = open_generator("shipped:fashion").generator
    images, latent = simulate(generator, classes, VARIANCE, seeds)
    compared = {"search": search, "chains": chains}[arguments.which]
    compared(images, latent, classes, seeds)


if __name__ == "__main__":
    main()
