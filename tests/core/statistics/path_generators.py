"""Generators of paths, honest and memorising by construction, and how often the test suspects them.

    python -m tests.core.statistics.path_generators [--repeats 200]

prints the table of docs/latent-paths.md.
"""

import argparse
from collections.abc import Callable

import numpy as np
from offmanifold.core.statistics.latent_paths import DwellTest, PathNeighbours, dwell_test
from offmanifold.core.statistics.neighbour_lists import nearest_lists
from offmanifold.core.statistics.proportions import proportion_interval

STEPS = 16

Make = Callable[[np.ndarray], np.ndarray]
Maker = Callable[[np.random.Generator, np.ndarray, np.ndarray], Make]


def _weights(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def smooth(rng: np.random.Generator, _: np.ndarray, means: np.ndarray) -> Make:
    first, second = rng.normal(size=(6, 40)) * 1.2, rng.normal(size=(40, means.shape[1])) / 6
    return lambda latent: np.tanh(latent @ first) @ second


def hurrying(rng: np.random.Generator, _: np.ndarray, means: np.ndarray) -> Make:
    """Honest, of kinds, between which it hurries."""
    kinds, inner = rng.normal(size=(6, len(means))), smooth(rng, _, means)
    return lambda latent: _weights(8 * latent @ kinds) @ means + 0.3 * inner(latent)


def nearest_prototype(rng: np.random.Generator, training: np.ndarray, _: np.ndarray) -> Make:
    kinds = rng.normal(size=(6, len(training)))
    return lambda latent: training[(latent @ kinds).argmax(axis=1)]


def blended(rng: np.random.Generator, training: np.ndarray, _: np.ndarray) -> Make:
    """A memoriser that is smooth: without a jump, on means of training images in between."""
    kinds = rng.normal(size=(6, len(training)))
    return lambda latent: _weights(6 * latent @ kinds) @ training


def tried(make: Maker, repeat: int, training: int, held: int) -> DwellTest:
    rng = np.random.default_rng([repeat, training])
    means = rng.normal(size=(10, 20))
    pool = means[rng.integers(0, 10, training + held)]
    pool = (pool + 0.3 * rng.normal(size=pool.shape)).astype(np.float32)
    generator = make(rng, pool[:training], means)
    ends = rng.normal(size=(2, 12, 1, 6))
    angle = np.linspace(0, np.pi / 2, STEPS + 1)[None, :, None]
    latent = np.cos(angle) * ends[0] + np.sin(angle) * ends[1]
    images = generator(latent.reshape(-1, 6)).reshape(12, STEPS + 1, 20)
    step = np.linalg.norm(np.diff(images, axis=1), axis=2).astype(np.float64)
    points = np.concatenate([images, (images[:, 1:] + images[:, :-1]) / 2], axis=1)
    lists = nearest_lists(points.reshape(-1, 20).astype(np.float32), pool, 50)
    shape = (12, 2 * STEPS + 1, 50)
    paths = PathNeighbours(step, lists.index.reshape(shape), lists.distance.reshape(shape))
    return dwell_test(paths, np.arange(len(pool)) < training, repeat, sets=99)


def main() -> None:
    """Prints how often each generator is suspected at 5%, with its interval."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=200)
    repeats = parser.parse_args().repeats
    print("| generator | training | held out | suspected, % | mean excess |")
    print("|---|---:|---:|---:|---:|")
    for make in (smooth, hurrying, nearest_prototype, blended):
        for training, held in ((300, 300), (900, 200)):
            found = [tried(make, 1000 + each, training, held) for each in range(repeats)]
            share = proportion_interval(sum(each.p_value <= 0.05 for each in found), repeats)
            values = [f"{100 * each:.1f}" for each in (share.value, share.low, share.high)]
            excess = np.mean([each.value for each in found])
            print(
                f"| {make.__name__.replace('_', ' ')} | {training} | {held} | "
                f"{values[0]} [{values[1]}, {values[2]}] | {excess:.2f} |"
            )


if __name__ == "__main__":
    main()
