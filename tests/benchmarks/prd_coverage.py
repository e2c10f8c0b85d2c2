"""How often Student's interval over independent sets covers PRD's expectation at its N.

    python -m tests.benchmarks.prd_coverage [--values 1700]

Sets of 150 Gaussian points in six dimensions, wider and shifted, against one reference of 300: each
has its two scores, and sets of 3, 4 and 5 of them are drawn again and again. That needs fewer
scores than sets that are made anew, and is as exact as the scores' law is known.
"""

import argparse

import numpy as np
from offmanifold.core.statistics.precision_recall import precision_recall_curve
from offmanifold.core.statistics.set_means import set_mean_interval

_DRAWN = 4000
_LAWS = 20


def scores(values: int) -> np.ndarray:
    """F_1/8 and F_8 [values, 2], the clusters of each sought from another start."""
    rng = np.random.default_rng(2028)
    real = rng.normal(size=(300, 6))
    found = []
    for seed in range(values):
        curve = precision_recall_curve(1.1 * rng.normal(size=(150, 6)) + 0.2, real, seed)
        found.append((curve.precision_score, curve.recall_score))
    return np.array(found)


def coverage(law: np.ndarray, sets: int, rng: np.random.Generator) -> float:
    """The share of intervals over so many sets, drawn from a law, that hold its mean."""
    found = [set_mean_interval(list(drawn), 150) for drawn in rng.choice(law, (_DRAWN, sets))]
    return float(np.mean([each.low <= law.mean() <= each.high for each in found]))


def main() -> None:
    """Prints a line for each score and number of sets, with its standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--values", type=int, default=1700)
    made = scores(parser.parse_args().values)
    rng = np.random.default_rng(0)
    for name, law in zip(("F1/8", "F8"), made.T, strict=True):
        for sets in (3, 4, 5):
            again = [coverage(rng.choice(law, len(law)), sets, rng) for _ in range(_LAWS)]
            print(f"{name}, {sets} sets: {100 * np.mean(again):.1f}% ({100 * np.std(again):.1f})")


if __name__ == "__main__":
    main()
