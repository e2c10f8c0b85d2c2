import numpy as np
import pytest
from offmanifold.core.statistics.copies import (
    POWER,
    benjamini_hochberg,
    detectable_share,
    held_out_p_values,
    nearness,
    share_of_copies,
    shared_p_value,
)
from scipy import stats


def test_nearness_is_the_nearest_over_the_mean() -> None:
    found = nearness(np.array([[1.0, 3.0], [2.0, 2.0], [0.0, 4.0], [0.0, 0.0]]))
    assert found.tolist() == [0.5, 1.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="fewer than 2 references"):
        nearness(np.array([[1.0, np.inf]]))


def test_p_values_are_ranks_among_held_out_images() -> None:
    found = held_out_p_values(np.array([0.0, 0.25, 0.3, 2.0]), np.array([0.5, 0.25, 0.75, 1.0]))
    assert found.tolist() == [1 / 5, 2 / 5, 2 / 5, 1.0]


def test_p_values_of_honest_images_are_uniform_where_there_is_one_for_each_set() -> None:
    rng = np.random.default_rng(0)
    values = [held_out_p_values(rng.random(1), rng.random(99))[0] for _ in range(2000)]
    # Multiples of 1/100, all as likely: standard error below .011.
    assert np.mean(np.array(values) <= 0.05) == pytest.approx(0.05, abs=4 * 0.005)
    assert np.mean(np.array(values) <= 0.5) == pytest.approx(0.5, abs=4 * 0.011)


def test_discoveries_are_scipys() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        p_values = rng.random(50) ** 3
        adjusted = stats.false_discovery_control(p_values)
        np.testing.assert_array_equal(benjamini_hochberg(p_values, 0.1), adjusted <= 0.1)
    assert not benjamini_hochberg(np.ones(5), 0.05).any()
    assert benjamini_hochberg(np.full(20, 0.05), 0.05).all()


def test_few_discoveries_are_false() -> None:
    rng = np.random.default_rng(2)
    shares = []
    for _ in range(200):
        values = np.concatenate([rng.random(180), np.full(20, -1.0)])
        found = benjamini_hochberg(held_out_p_values(values, rng.random(2000)), 0.1)
        shares.append(found[:180].sum() / max(1, found.sum()))
        assert found[180:].all()
    # 0.1 times the share of honest images; the standard error is .005.
    assert np.mean(shares) <= 0.1 + 4 * np.std(shares) / np.sqrt(200)


def test_no_copies_are_found_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(3)
    found = [share_of_copies(rng.random(200), rng.random(500)) for _ in range(100)]
    rejected = np.mean([each.p_value <= 0.05 for each in found])
    assert rejected <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 100)
    assert np.mean([each.share.low == 0 for each in found]) >= 0.95


@pytest.mark.parametrize("share", [0.0, 0.02, 0.1])
def test_the_interval_of_the_share_covers(share: float) -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(100):
        values = rng.random(500)
        values[: rng.binomial(500, share)] = -1
        found = share_of_copies(values, rng.random(1000)).share
        covered += found.low <= share <= found.high
    assert covered / 100 >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 100)


def test_the_detectable_share_is_detected_as_often_as_said() -> None:
    share = detectable_share(400, 1000)
    rng = np.random.default_rng(5)
    found = 0
    for _ in range(100):
        values = rng.random(400)
        values[: rng.binomial(400, share)] = -1
        found += share_of_copies(values, rng.random(1000)).p_value <= 0.05
    assert found / 100 == pytest.approx(POWER, abs=4 * np.sqrt(POWER * (1 - POWER) / 100))
    assert detectable_share(4000, 10000) < share < detectable_share(100, 100)
    assert detectable_share(2, 2) == np.inf


def test_copies_alone_are_a_share_of_one() -> None:
    found = share_of_copies(np.zeros(100), np.linspace(0.5, 1, 200))
    assert found.share.value == 1
    assert found.share.high == 1
    assert found.share.low > 0.9
    assert found.p_value < 1e-10


def test_a_memorisers_p_value_is_not_0() -> None:
    found = share_of_copies(np.full(2000, -1.0), np.random.default_rng(7).random(5000))
    assert 0 < found.p_value < 1e-100


def test_equal_values_convict_nobody() -> None:
    # Data with few grey levels: a tenth of all images, held out or not, lies on training images.
    rng = np.random.default_rng(6)
    rejected = 0
    for _ in range(100):
        values, held_out = np.maximum(rng.random((2, 400)) - 0.1, 0)
        rejected += share_of_copies(values, held_out).p_value <= 0.05
    assert rejected / 100 <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 100)
    with pytest.raises(ValueError, match="none tells a copy"):
        share_of_copies(np.zeros(5), np.zeros(5))


def test_farther_images_than_held_out_ones_exclude_no_copies() -> None:
    found = share_of_copies(np.full(1000, 2.0), np.random.default_rng(7).random(1000))
    assert found.counted == 0
    assert found.share.low == found.share.value == 0
    assert found.share.high > 0.001


def test_sets_drawn_alike_share_images_as_training_images_do() -> None:
    """Of 300 images that repeat, and of images that never do."""
    rng, suspected = np.random.default_rng(0), 0
    for _ in range(200):
        training, held_out = rng.integers(0, 300, 400), rng.integers(0, 300, 200)
        counts = np.bincount(training, minlength=300)
        repeated = int(np.sum(counts[training[:100]] > 1))
        shared = int(np.sum(counts[held_out] > 0))
        suspected += shared_p_value(shared, 200, repeated, 100) <= 0.05
    assert suspected <= stats.binom.isf(1e-3, 200, 0.05)
    assert shared_p_value(0, 200, 0, 100) == 1
    # A fifth of them, and a handful.
    assert shared_p_value(40, 200, 0, 100) < 1e-6
    assert shared_p_value(4, 200, 0, 100) > 0.05
    with pytest.raises(ValueError, match="more than there are"):
        shared_p_value(3, 2, 0, 100)
