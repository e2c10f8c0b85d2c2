"""Pools of training and held-out images in which some are equal: the labels stay exchangeable."""

import numpy as np
import pytest
import torch
from offmanifold.core.statistics.copies import NEAREST, nearness
from offmanifold.core.statistics.label_permutation import LabelTest, permute_labels
from offmanifold.core.statistics.neighbour_lists import nearest_lists
from offmanifold.core.statistics.views import pixel_views
from offmanifold.workers.held_out import Pool, pool_lists
from offmanifold.workers.nearest_training import TrainingLists
from scipy import stats
from torch import Tensor

PIXELS = pixel_views()[0]
SPRITES, TRAINING, HELD, MADE = 300, 1000, 200, 150


def pooled(images: Tensor, training: Tensor, *held: Tensor) -> Pool:
    own = nearest_lists(PIXELS.queries(images), PIXELS.references(training), NEAREST)
    return pool_lists(images, PIXELS, TrainingLists(own, len(training)), held)


def exchanged(pool: Pool, seed: int, *, turned: bool = False) -> LabelTest:
    is_training = np.arange(pool.training + pool.held_out) < pool.training
    labels = ~is_training if turned else is_training
    near = nearness(pool.lists.distance)
    return permute_labels(pool.lists.index[:, 0], near, labels, seed, sets=199)


def drawn(rng: np.random.Generator, sprites: np.ndarray, count: int) -> Tensor:
    return torch.from_numpy(sprites[rng.integers(0, len(sprites), count)])


@pytest.fixture(scope="module")
def repeats() -> list[tuple[LabelTest, LabelTest]]:
    """An honest generator and the control, of sets drawn alike of a few hundred images."""
    found = []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        sprites = rng.random((SPRITES, 1, 4, 4)).astype(np.float32)
        training, held = (drawn(rng, sprites, count) for count in (TRAINING, HELD))
        made = drawn(rng, sprites, MADE)
        made = (made + 0.02 * torch.from_numpy(rng.normal(size=made.shape)).float()).clamp(0, 1)
        first, second = held[: HELD // 2], held[HELD // 2 :]
        found.append(
            (
                exchanged(pooled(made, training, first, second), seed),
                exchanged(pooled(second, training, first), seed, turned=True),
            )
        )
    return found


def test_an_honest_generator_of_a_law_with_equal_images_is_seldom_suspected(
    repeats: list[tuple[LabelTest, LabelTest]],
) -> None:
    for of in range(2):
        p_values = np.array([each[of].p_value for each in repeats])
        # As often as a p-value may: so many with a chance of a thousandth.
        for level in (0.05, 0.25, 0.5):
            most = stats.binom.isf(1e-3, len(p_values), level)
            assert np.sum(p_values <= level) <= most, (of, level)
        # And it is not blind: were it never small, it would say nothing.
        assert np.sum(p_values <= 0.5) >= stats.binom.ppf(1e-3, len(p_values), 0.35)


def test_as_many_nearest_are_training_images_as_there_are(
    repeats: list[tuple[LabelTest, LabelTest]],
) -> None:
    shares = np.array([made.training for made, _ in repeats])
    error = shares.std() / np.sqrt(len(shares))
    assert shares.mean() == pytest.approx(repeats[0][0].expected, abs=4 * error)


def test_more_equal_images_than_are_kept_come_in_the_order_of_the_whole_pool() -> None:
    rng = np.random.default_rng(0)
    one = torch.from_numpy(rng.random((1, 1, 4, 4)).astype(np.float32))
    firsts = []
    for count in range(200, 240):
        pool = pooled(one, one.expand(count, 1, 4, 4), one.expand(count, 1, 4, 4))
        whole = np.tile(one.numpy().reshape(1, 16), (2 * count, 1))
        expected = nearest_lists(one.numpy().reshape(1, 16), whole, NEAREST)
        np.testing.assert_array_equal(pool.lists.index, expected.index)
        firsts.append(np.mean(pool.lists.index < count))
    # Half of the first 50 are of either kind.
    assert np.mean(firsts) == pytest.approx(0.5, abs=0.2)
