"""How often the headline's interval holds, with classifiers that are really trained.

    python -m tests.benchmarks.headline_repeats [--repeats 40] [--honest 150]

Images have 20 pixels and one of 5 overlapping classes. Of each of 3 real sets of 800 images the
true headline is known: mean accuracies of 60 classifiers a row on 10,000 test images. Half of the
generator's labels are drawn by chance. In every repeat the parts of the real set, the generated
images, and 2,000 test images are drawn anew, two classifiers a row, and the interval either has the
truth or not. Then the same for an honest generator, which draws from the data's own distribution:
how often is it said to be less diverse than a real set, another one every time?
"""

import argparse
import time
import warnings
from dataclasses import dataclass

import numpy as np
from offmanifold.core.classifiers.labelled_images import down_sampled
from offmanifold.core.statistics.equivalent_share import EquivalentShare, crossing, equivalent_share
from offmanifold.core.statistics.proportions import proportion_interval
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression

CLASSES, PIXELS, IMAGES = 5, 20, 800
FACTORS = (1, 2, 4, 8, 16, 32)
WRONG = 0.5
TEST_IMAGES, MODELS = 2_000, 2
REAL_SETS, TRUTH_DRAWS, TRUTH_IMAGES = 3, 60, 10_000


@dataclass(frozen=True)
class Images:
    """Pixels [N, PIXELS] and classes [N]."""

    pixels: np.ndarray
    labels: np.ndarray


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=40, help="of each real set")
    parser.add_argument("--honest", type=int, default=150)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    began, rng = time.monotonic(), np.random.default_rng(0)
    held = []
    for _ in range(REAL_SETS):
        real = drawn(rng, IMAGES)
        truth = true_headline(rng, real)
        found = [headline(rng, real, WRONG, seed) for seed in range(arguments.repeats)]
        held += [each.low <= truth <= each.high for each in found]
        typical = np.median([(each.low, each.high) for each in found], axis=0)
        print(f"truth 1/{truth:.2f}; median ends 1/{typical[0]:.2f} and 1/{typical[1]:.2f}")
    print(f"intervals that hold: {share(held)}")
    convicted, above = [], []
    for seed in range(arguments.honest):
        honest = headline(rng, drawn(rng, IMAGES), 0.0, seed)
        convicted.append(honest.low > 1)
        above.append(honest.high < 1)
    print(f"honest generators said to be less diverse: {share(convicted)}")
    print(f"honest generators said to be more diverse: {share(above)}")
    print(f"{time.monotonic() - began:.0f} s")


def drawn(rng: np.random.Generator, count: int, wrong: float = 0.0) -> Images:
    """A sample of the data, of which a share ``wrong`` is labelled by chance."""
    centres = np.random.default_rng(1).normal(0, 0.45, (CLASSES, PIXELS))
    labels = rng.integers(0, CLASSES, count)
    pixels = centres[labels] + rng.standard_normal((count, PIXELS))
    chance = rng.integers(0, CLASSES, count)
    return Images(pixels, np.where(rng.random(count) < wrong, chance, labels))


def part(real: Images, factor: int, rng: np.random.Generator) -> Images:
    kept = down_sampled(real.labels, factor, int(rng.integers(2**31)))
    return Images(real.pixels[kept], real.labels[kept])


def correct(learned: Images, tested: Images) -> np.ndarray:
    """Which test images a linear softmax labels rightly [N]."""
    classifier = LogisticRegression(C=10.0, tol=1e-3, max_iter=200).fit(
        learned.pixels, learned.labels
    )
    return np.asarray(classifier.predict(tested.pixels) == tested.labels)


def true_headline(rng: np.random.Generator, real: Images) -> float:
    tested = drawn(rng, TRUTH_IMAGES)
    curve = [
        np.mean(
            [
                correct(part(real, factor, rng), tested).mean()
                for _ in range(1 if factor == 1 else TRUTH_DRAWS)
            ]
        )
        for factor in FACTORS
    ]
    made = [correct(drawn(rng, IMAGES, WRONG), tested).mean() for _ in range(TRUTH_DRAWS)]
    return crossing(FACTORS, [float(each) for each in curve], float(np.mean(made)))


def headline(rng: np.random.Generator, real: Images, wrong: float, seed: int) -> EquivalentShare:
    tested = drawn(rng, TEST_IMAGES)
    # All real images give the same softmax every time.
    curve = [np.stack([correct(real, tested)] * MODELS)] + [
        np.stack([correct(part(real, factor, rng), tested) for _ in range(MODELS)])
        for factor in FACTORS[1:]
    ]
    made = np.stack([correct(drawn(rng, IMAGES, wrong), tested) for _ in range(MODELS)])
    return equivalent_share(FACTORS, curve, made, seed)


def share(held: list[bool]) -> str:
    found = proportion_interval(sum(held), len(held))
    return f"{found.value:.3f} [{found.low:.3f}, {found.high:.3f}], N = {found.n}"


if __name__ == "__main__":
    main()
