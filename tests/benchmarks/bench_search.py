"""Where the guided estimator's settings come from: heat and rates of its search, lengths of chains.

    python tests/benchmarks/bench_search.py search|chains

`search` prints, for 32 images simulated from the Fashion-MNIST generator, how far the best mode of
searches with other heats and rates stays above the best that any of them or a descent from the
image's own latent found. `chains` prints the sandwich gap of 32 others, two with a posterior
that bends away from its mode, for chains of 6,000 evaluations. Each takes about ten minutes
of a core.
"""

import sys
from dataclasses import replace

import torch
from offmanifold.core.guided import estimate_guided
from offmanifold.core.laplace import ProposalSettings
from offmanifold.core.likelihood import simulate
from offmanifold.core.modes import ModeSettings, find_modes
from offmanifold.jobs.audits.likelihood.settings import GuidedSpec
from offmanifold.workers.generators import open_generator
from offmanifold.workers.likelihood import guided_settings
from torch import Tensor

COUNT, VARIANCE = 32, 0.0089
FIRST_SEED = {"search": 2000, "chains": 3000}
PRESET = guided_settings(GuidedSpec().model_dump())
SEARCH = PRESET.search
SEARCHES = {
    "no heat": replace(SEARCH, heat=1.0),
    "rate 0.4 throughout": replace(SEARCH, learning_rate=0.4),
    "starts from the prior alone": replace(SEARCH, widest=1.0),
    "one round, hardly polished": ModeSettings(24, 64, 450, polish=1),
    "as in an audit": SEARCH,
}
AUDIT = replace(PRESET, search=replace(SEARCH, restarts=12))
CHAINS = {
    "10 leapfrogs": replace(AUDIT, transitions=151, leapfrog_steps=10),
    "5 leapfrogs": replace(AUDIT, transitions=301, leapfrog_steps=5),
    "a jitter of 30%": replace(AUDIT, jitter=0.3),
    "equal increments": replace(AUDIT, growth=1.001),
    "increments growing ninefold": replace(AUDIT, growth=9.0),
    "no wide components": replace(
        AUDIT, proposal=ProposalSettings(inflation=3.0, wide_weight=1e-9)
    ),
    "inflation 1.5": replace(AUDIT, proposal=ProposalSettings(inflation=1.5)),
    "as in an audit": AUDIT,
}


def search(images: Tensor, latent: Tensor, classes: Tensor, seeds: range) -> None:
    """Prints how far each search's best mode is from the best known one."""
    generator = open_generator("shipped:fashion").generator
    best = {}
    for name, settings in SEARCHES.items():
        modes = find_modes(generator, images, classes, VARIANCE, settings, seeds).modes
        best[name] = modes.negative_log_joint.amin(1)
    exact = replace(SEARCH, restarts=1, polish=20)
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
    """Prints one of the two comparisons."""
    seeds = range(FIRST_SEED[which], FIRST_SEED[which] + COUNT)
    classes = torch.arange(COUNT) % 10
    generator = open_generator("shipped:fashion").generator
    images, latent = simulate(generator, classes, VARIANCE, seeds)
    {"search": search, "chains": chains}[which](images, latent, classes, seeds)


if __name__ == "__main__":
    main(sys.argv[1])
