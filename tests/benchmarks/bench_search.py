"""Where the guided estimator's settings come from: heat and rates of its search, lengths of chains.

    python -m tests.benchmarks.bench_search search|chains|inversion

`search` prints, for 32 images simulated from the Fashion-MNIST generator, how far the best mode of
searches with other heats and rates stays above the best that any of them or a descent from the
image's own latent found. `chains` prints the sandwich gap of 32 others, two with a posterior
that bends away from its mode, for chains of 6,000 evaluations. `inversion` prints the mean squared
errors of eight images of each group, whole and with parts of the search left out. Each takes about
ten minutes of a core.
"""

import sys
from dataclasses import replace

import torch
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

INVERSION = InversionSettings()
INVERSIONS = {
    "without a bank": replace(INVERSION, bank=0),
    "without a polish": replace(INVERSION, polish=0, final_iterations=400),
    "from as many latents as the estimator": replace(INVERSION, bank=AUDIT.bank),
    "as in an audit": INVERSION,
}


def inversion() -> None:
    """Prints the errors of each inversion, group by group."""
    generator = open_generator("shipped:fashion").generator
    found = [
        (group, *images_of("fashion", group, generator)[:2])
        for group in (*GROUPS["fashion"], "generated")
    ]
    images = torch.cat([own for _, own, _ in found])
    classes = torch.cat([labels for _, _, labels in found])
    for name, settings in INVERSIONS.items():
        result = invert(generator, images, classes, settings, range(len(images)))
        print(f"{name}: {result.evaluations} evaluations")
        for (group, own, _), errors in zip(found, result.mse.split(len(found[0][1])), strict=True):
            print(
                f"  {group}: mean {errors.mean():.5f}, median {errors.median():.5f} of {len(own)}",
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


def main(which: str) -> None:
    """Prints one of the comparisons."""
    if which == "inversion":
        inversion()
        return
    seeds = range(FIRST_SEED[which], FIRST_SEED[which] + COUNT)
    classes = torch.arange(COUNT) % 10
    generator = open_generator("shipped:fashion").generator
    images, latent = simulate(generator, classes, VARIANCE, seeds)
    {"search": search, "chains": chains}[which](images, latent, classes, seeds)


if __name__ == "__main__":
    main(sys.argv[1])
