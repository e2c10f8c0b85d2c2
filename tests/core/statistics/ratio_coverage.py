"""How often the interval of a ratio of mean areas holds; prints the table of docs/objects.md.

python -m tests.core.statistics.ratio_coverage [--replicates 300]
"""

import argparse

import numpy as np
from offmanifold.core.statistics.mean_ratios import mean_ratio_interval

IMAGES = 200
SHARES = ((1.0, 1.0), (0.5, 0.5), (0.2, 0.2), (0.1, 0.1), (0.1, 0.3), (0.3, 0.1))
AREAS = {"small": (1, 20), "any": (2, 2)}


def areas(rng: np.random.Generator, n: int, share: float, law: str) -> np.ndarray:
    """Areas of an object that a share of images has: of beta laws, and 0 elsewhere."""
    return np.asarray((rng.random(n) < share) * rng.beta(*AREAS[law], n))


def coverage(n: int, made: float, real: float, law: str, replicates: int) -> tuple[float, float]:
    """How often the interval holds, of those there are; and how often there is one."""
    held = printed = 0
    for replicate in range(replicates):
        seeds = [n, int(100 * made), int(100 * real), AREAS[law][0], replicate]
        rng = np.random.default_rng(seeds)
        first, second = (areas(rng, n, share, law) for share in (made, real))
        found = mean_ratio_interval(first, second, replicate)
        if np.isnan(found.low):
            continue
        printed += 1
        held += found.low <= made / real <= found.high
    return held / max(printed, 1), printed / replicates


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=300)
    replicates = parser.parse_args().replicates
    print("| images on either side | object in generated, real | areas | covered, % | stated, % |")
    print("|---:|---|---|---:|---:|")
    for made, real in SHARES:
        for law in AREAS:
            held, printed = coverage(IMAGES, made, real, law, replicates)
            print(
                f"| {IMAGES} | {made:.0%}, {real:.0%} | {law} | {100 * held:.1f} | "
                f"{100 * printed:.0f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
