"""How often the intervals of copies, of the support and over sets cover: docs/copying.md."""

import numpy as np
from offmanifold.core.statistics.copies import share_of_copies
from offmanifold.core.statistics.frechet import frechet_distance, kernel_distance, moments
from offmanifold.core.statistics.manifolds import manifolds
from offmanifold.core.statistics.precision_recall import precision_recall_curve
from offmanifold.core.statistics.set_means import set_mean_interval
from offmanifold.core.statistics.support import Pairs, effective_support

SHARES = (0.0, 0.01, 0.02, 0.05, 0.1)
SETS = 5


def collisions(drawn: np.ndarray) -> Pairs:
    """Pairs of equal samples."""
    first, second = np.nonzero(np.triu(drawn[:, None] == drawn, 1))
    return Pairs(first, second, np.zeros(len(first)))


def copies_table(replicates: int) -> str:
    """Coverage of the share, by numbers of images, every copy nearer than any other image."""
    rng = np.random.default_rng(2026)
    lines = [
        "| images, held-out images | " + " | ".join(f"{share:.0%}" for share in SHARES) + " |",
        "|---" * (len(SHARES) + 1) + "|",
    ]
    for n, held_out in ((64, 64), (200, 1000), (1000, 1000), (1000, 10_000)):
        cells = []
        for share in SHARES:
            covered = 0
            for _ in range(replicates):
                values = rng.random(n)
                values[: rng.binomial(n, share)] = -1
                found = share_of_copies(values, rng.random(held_out)).share
                covered += found.low <= share <= found.high
            cells.append(f"{100 * covered / replicates:.1f}")
        lines.append(f"| {n:,}, {held_out:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def laws() -> dict[str, np.ndarray]:
    """Laws over images, by name."""
    zipf = 1 / np.arange(1, 10_001)
    return {
        "1,000 as likely": np.full(1000, 1e-3),
        "10,000 as likely": np.full(10_000, 1e-4),
        "Zipf over 10,000": zipf / zipf.sum(),
        "10 images of 1%, 9,000 of .01%": np.r_[np.full(10, 0.01), np.full(9000, 1e-4)],
    }


def support_table(replicates: int) -> str:
    """Coverage of sum p^2, by the law and the number of samples."""
    rng, sizes = np.random.default_rng(2027), (50, 200, 1000)
    head = " | ".join(f"{size:,} samples" for size in sizes)
    lines = [f"| law of the images (effective support) | {head} |", "|---" * 4 + "|"]
    for name, law in laws().items():
        truth, cells = float(np.sum(law**2)), []
        for size in sizes:
            covered = 0
            for _ in range(replicates):
                drawn = rng.choice(len(law), size, p=law)
                found = effective_support(collisions(drawn), size).chance
                covered += found.low <= truth <= found.high
            cells.append(f"{100 * covered / replicates:.1f}")
        lines.append(f"| {name} ({1 / truth:,.0f}) | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _statistics(generated: np.ndarray, real: np.ndarray, seed: int) -> list[float]:
    found = manifolds(generated, real)
    means = [each.mean() for each in (found.precise, found.recalled, found.density, found.covered)]
    distance = frechet_distance(moments(generated), moments(real))
    curve = precision_recall_curve(generated, real, seed)
    return [
        *(float(mean) for mean in means),
        distance,
        kernel_distance(generated, real),
        curve.precision_score,
        curve.recall_score,
    ]


def sets_table(replicates: int) -> str:
    """Coverage of a statistic's expectation at its N by Student's interval over `SETS` sets."""
    rng = np.random.default_rng(2028)
    real = rng.normal(size=(300, 6))
    sets = (1.1 * rng.normal(size=(150, 6)) + 0.2 for _ in range(SETS * replicates))
    # The clusters of PRD are sought from another start in every set, as in an audit.
    values = np.array([_statistics(each, real, seed) for seed, each in enumerate(sets)])
    truth = values.mean(axis=0)
    names = ("precision", "recall", "density", "coverage", "FID", "KID", "PRD F1/8", "PRD F8")
    cells = []
    for number in range(len(names)):
        found = [set_mean_interval(list(each), 150) for each in values[:, number].reshape(-1, SETS)]
        held = np.mean([each.low <= truth[number] <= each.high for each in found])
        cells.append(f"{100 * held:.1f}")
    return "\n".join(
        [
            "| " + " | ".join(names) + " |",
            "|---" * len(names) + "|",
            "| " + " | ".join(cells) + " |",
        ]
    )
