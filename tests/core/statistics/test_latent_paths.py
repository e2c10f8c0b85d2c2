"""Steps along paths: closed forms, the test's false alarms, and memorisers that it must see."""

import numpy as np
import pytest
from offmanifold.core.statistics.latent_paths import (
    PathNeighbours,
    dwell,
    dwell_test,
    jump_share,
    largest_step,
    switches,
)
from offmanifold.core.statistics.neighbour_lists import nearest_lists
from scipy import stats

from .path_generators import Maker, blended, hurrying, nearest_prototype, smooth, tried


def test_even_and_jumping_paths() -> None:
    step = np.array([[1.0, 1, 1, 1], [0, 4, 0, 0], [1, 11, 1, 9], [0, 0, 0, 0]])
    assert jump_share(step)[:3] == pytest.approx([0, 1, 12 / 22])
    assert largest_step(step)[:3] == pytest.approx([1, 4, 2])
    assert np.isnan(jump_share(step)[3])
    assert np.isnan(largest_step(step)[3])
    # A last step without another is left out.
    assert jump_share(step[:1, :3]) == pytest.approx([0])
    with pytest.raises(ValueError, match="1 steps"):
        jump_share(step[:, :1])
    nearest = np.array([[1, 1, 2, 2, 1], [3, 3, 3, 3, 3]])
    assert switches(nearest).tolist() == [2, 0]


def test_dwelling_is_one_on_images_with_jumps_between_and_zero_at_an_even_pace() -> None:
    # Two images of the set at 0 and 1, on a line: a path that jumps, and one that goes evenly.
    line = np.array([[0, 0, 0, 1, 1], [0, 0.25, 0.5, 0.75, 1], [0.5, 0.5, 0.5, 0.5, 0.5]])
    points = np.concatenate([line, (line[:, 1:] + line[:, :-1]) / 2], axis=1)
    distance = np.minimum(points, 1 - points)
    found = dwell(np.diff(line, axis=1), distance)
    assert found[0] == 1
    # By the trapezoid's error of a kink at the middle.
    assert found[1] == pytest.approx((0.25 - 0.2) / 0.45)
    # A path that stays where it is says nothing.
    assert found[2] == 0


def test_the_nearest_with_a_label_is_that_of_a_pool_of_these_alone() -> None:
    rng = np.random.default_rng(0)
    pool, queries = rng.normal(size=(60, 3)), rng.normal(size=(2 * 5, 3))
    lists = nearest_lists(queries, pool, 20)
    paths = PathNeighbours(
        np.ones((2, 2)), lists.index.reshape(2, 5, 20), lists.distance.reshape(2, 5, 20)
    )
    label = rng.random(60) < 0.4
    place, distance = paths.labelled(label)
    alone = nearest_lists(queries, pool[label], 1)
    assert np.array_equal(place.ravel(), np.flatnonzero(label)[alone.index[:, 0]])
    assert distance.ravel() == pytest.approx(alone.distance[:, 0])
    # Of none it is known that it is farther than the last.
    place, distance = paths.labelled(np.zeros(60, dtype=bool))
    assert (place == -1).all()
    assert np.array_equal(distance, paths.distance[:, :, -1])
    with pytest.raises(ValueError, match="cannot be exchanged"):
        dwell_test(paths, np.ones(60, dtype=bool), 0)


def test_what_the_lists_and_the_exchanges_do_not_see() -> None:
    place = np.array([[[0, 1], [1, 3], [3, 2], [0, 2], [1, 0]]])
    paths = PathNeighbours(np.ones((1, 2)), place, np.ones((1, 5, 2)))
    assert paths.unseen(np.array([False, False, True, False, False])) == 0.6
    assert paths.unseen(np.array([True, True, True, True, False])) == 0.0
    # Three are nearest: by chance none of the two held-out of five is among them once in ten.
    assert paths.blind(3, 2) == pytest.approx(0.1)
    rng = np.random.default_rng(0)
    labels = np.array([rng.permutation(5) < 3 for _ in range(4000)])
    assert np.mean(labels[:, [0, 1, 3]].all(axis=1)) == pytest.approx(0.1, abs=4 * 0.0048)


def test_an_honest_generator_that_hurries_is_seldom_suspected() -> None:
    repeats = 24
    alarms = sum(tried(hurrying, repeat, 900, 200).p_value <= 0.05 for repeat in range(repeats))
    # The p-value is exact: at most 5% of repeats, and so many with a chance of a thousandth.
    assert alarms <= stats.binom.isf(1e-3, repeats, 0.05)


@pytest.mark.parametrize("make", [nearest_prototype, blended])
def test_a_generator_that_memorised_is_seen(make: Maker) -> None:
    found = [tried(make, repeat, 300, 300) for repeat in range(5)]
    assert all(each.p_value <= 0.05 and each.value > 0.1 for each in found)


@pytest.mark.slow
@pytest.mark.parametrize("sizes", [(300, 300), (900, 200)])
@pytest.mark.parametrize("make", [smooth, hurrying])
def test_false_alarms_are_near_five_per_cent(make: Maker, sizes: tuple[int, int]) -> None:
    repeats = 200
    alarms = sum(tried(make, 1000 + each, *sizes).p_value <= 0.05 for each in range(repeats))
    low, high = stats.binom.interval(0.999, repeats, 0.05)
    assert low <= alarms <= high
