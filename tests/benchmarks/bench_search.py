"""Where the guided estimator's settings come from: heat and rates of its search, lengths of chains.

    python tests/benchmarks/bench_search.py search|chains

`search` prints, for 32 images simulated from the Fashion-MNIST generator, how far the best mode of
searches with other heats and rates stays above the best that any of them or a descent from the
image's own latent found. `chains` prints the sandwich gap of the same images for chains of
about 4,000 evaluations, and of 6,000 at the settings of an audit. Each takes about ten minutes of a
core.
"""

import sys
from dataclasses import replace

import torch
from offmanifold.core.guided import GuidedSettings, estimate_guided
from offmanifold.core.laplace import ProposalSettings
from offmanifold.core.likelihood import simulate
from offmanifold.core.modes import ModeSettings, find_modes
from offmanifold.workers.generators import open_generator
from torch import Tensor

COUNT, VARIANCE, FIRST_SEED = 32, 0.0089, 2000
SEARCH = ModeSettings(
    restarts=75, candidates=8, iterations=100, finalists=10, final_iterations=200, polish=8
)
SEARCHES = {
    "no heat": replace(SEARCH, heat=1.0),
    "rate 0.4 throughout": replace(SEARCH, learning_rate=0.4),
    "starts from the prior alone": replace(SEARCH, widest=1.0),
    "one round, hardly polished": ModeSettings(24, 64, 450, polish=1),
    "as in an audit": SEARCH,
}
AUDIT = GuidedSettings(
    transitions=500,
    search=replace(SEARCH, restarts=12),
    proposal=ProposalSettings(inflation=3.0),
)
LONG = replace(AUDIT, sigmoid_radius=1.0, jitter=0.3)
CHAINS = {
    "10 leapfrogs of 0.3": replace(LONG, transitions=100, leapfrog_steps=10, step_size=0.3),
    "5 leapfrogs of 0.3": replace(LONG, transitions=200, leapfrog_steps=5, step_size=0.3),
    "3 leapfrogs of 0.3": replace(LONG, transitions=333, leapfrog_steps=3, step_size=0.3),
    "3 leapfrogs of 0.2": replace(LONG, transitions=333),
    "as in an audit": AUDIT,
}


def search(images: Tensor, latent: Tensor, classes: Tensor, seeds: range) -> None:
    """Prints how far each search's best mode is from the best known one."""
    generator = open_generator("shipped:fashion").generator
    best = {}
    for name, settings in SEARCHES.items():
        modes, _ = find_modes(generator, images, classes, VARIANCE, settings, seeds)
        best[name] = modes.negative_log_joint.amin(1)
    exact = replace(SEARCH, restarts=1, polish=20)
    modes, _ = find_modes(generator, images, classes, VARIANCE, exact, seeds, known=latent[:, None])
    known = torch.stack([*best.values(), modes.negative_log_joint.amin(1)]).amin(0)
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
            f"{name}: gap mean {gap.mean():.2f}, median {gap.median():.2f}, "
            f"acceptance {found.acceptance.mean():.2f}",
            flush=True,
        )


def main(which: str) -> None:
    """Prints one of the two comparisons."""
    seeds = range(FIRST_SEED, FIRST_SEED + COUNT)
    classes = torch.arange(COUNT) % 10
    generator = open_generator("shipped:fashion").generator
    images, latent = simulate(generator, classes, VARIANCE, seeds)
    {"search": search, "chains": chains}[which](images, latent, classes, seeds)


if __name__ == "__main__":
    main(sys.argv[1])
