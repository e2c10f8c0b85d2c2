import numpy as np
import pytest
from offmanifold.core.statistics import support
from offmanifold.core.statistics.support import (
    Pairs,
    closest_pairs,
    collides_less,
    collides_more,
    duplicate_threshold,
    effective_support,
    half_chance_batch,
    pairs_within,
)
from scipy import stats

from .copying_cases import collisions


@pytest.mark.parametrize("rows", [17, 1024])
@pytest.mark.parametrize("count", [1, 12, 300, 4950])
def test_the_closest_pairs_are_those_of_all_distances(
    monkeypatch: pytest.MonkeyPatch, rows: int, count: int
) -> None:
    monkeypatch.setattr(support, "_ROWS", rows)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 4, size=(100, 4)).astype(np.float32)
    first, second = np.triu_indices(100, 1)
    every = np.sqrt(((images[first] - images[second]).astype(float) ** 2).sum(1))
    order = np.lexsort((second, first, every))
    order = order[: np.sum(every <= every[order[count - 1]])]
    found = closest_pairs(images, count)
    np.testing.assert_array_equal(found.first, first[order])
    np.testing.assert_array_equal(found.second, second[order])
    np.testing.assert_allclose(found.distance, every[order], rtol=1e-14)
    within = pairs_within(images, float(found.distance[-1]))
    np.testing.assert_array_equal(within.first, found.first)
    np.testing.assert_array_equal(within.second, found.second)
    np.testing.assert_array_equal(within.distance, found.distance)
    assert not len(pairs_within(images, -1.0).first)


def test_the_chance_is_unbiased_and_its_interval_covers() -> None:
    share = 1 / np.arange(1, 1001)
    share /= share.sum()
    truth, rng = float(np.sum(share**2)), np.random.default_rng(1)
    found = [effective_support(collisions(rng.choice(1000, 100, p=share)), 100) for _ in range(200)]
    values = np.array([each.chance.value for each in found])
    assert values.mean() == pytest.approx(truth, abs=4 * values.std() / np.sqrt(100))
    covered = np.mean([each.chance.low <= truth <= each.chance.high for each in found])
    assert covered >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 100)
    assert found[0].size.low == pytest.approx(1 / found[0].chance.high)


def test_the_lower_end_of_a_few_collisions_is_poissons_mid_p() -> None:
    pairs = Pairs(np.array([0, 2, 4]), np.array([1, 3, 5]), np.zeros(3))
    found, every = effective_support(pairs, 1000), 1000 * 999 / 2
    law = stats.poisson(found.chance.low * every)
    assert law.sf(3) + law.pmf(3) / 2 == pytest.approx(0.025, abs=1e-6)
    # The upper end supposes that pairs may share an image.
    law = stats.poisson(found.chance.high * every)
    assert law.sf(3) + law.pmf(3) / 2 > 0.975
    assert found.size.value == pytest.approx(every / 3)


def test_without_collisions_the_support_has_a_lower_end_alone() -> None:
    found = effective_support(collisions(np.arange(200)), 200)
    assert found.size.value == found.size.high == np.inf
    # (1 + 1 - e^-m) / 2 = .975 at a mean of -ln .05.
    assert found.size.low == pytest.approx(200 * 199 / 2 / -np.log(0.05), rel=1e-6)
    assert found.chance.low == 0


def test_one_image_alone_has_a_support_of_one() -> None:
    found = effective_support(collisions(np.zeros(30, int)), 30)
    assert found.size.value == 1
    assert found.chance.high == 1


def test_the_threshold_leaves_as_many_real_pairs_as_allowed() -> None:
    rng = np.random.default_rng(2)
    real = closest_pairs(rng.random((60, 3)), 20)
    for allowed in (0, 1, 7):
        assert len(real.within(duplicate_threshold(real, allowed)).first) == allowed
    twice = closest_pairs(np.repeat(rng.random((30, 3)), 2, axis=0), 40)
    with pytest.raises(ValueError, match="allow 30 or more"):
        duplicate_threshold(twice, 5)


def test_real_images_collide_no_more_than_real_images() -> None:
    rng = np.random.default_rng(3)
    found = []
    for _ in range(200):
        one, other = (collisions(rng.integers(0, 500, n)) for n in (100, 150))
        found.append(collides_more(one, 100, other, 150) <= 0.05)
    assert np.mean(found) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 200)
    few = collisions(rng.integers(0, 200, 200))
    assert collides_more(few, 200, other, 150) < 1e-3


def test_the_half_chance_batch_is_the_birthday_paradoxs() -> None:
    # 23 of 365 birthdays, from many samples.
    drawn = np.random.default_rng(4).integers(0, 365, 1500)
    found = half_chance_batch(collisions(drawn), 1500, 0)
    assert found is not None
    assert found == pytest.approx(23, abs=1)
    assert half_chance_batch(collisions(np.arange(5)), 5, 0) is None


def test_no_p_value_is_0() -> None:
    rng = np.random.default_rng(5)
    one, many = collisions(np.zeros(1000, int)), collisions(rng.integers(0, 10**6, 1000))
    assert 0 < collides_more(one, 1000, many, 1000) < 1e-50
    assert 0 < collides_less(many, 1000, one, 1000, 2.0) < 1e-50


def test_of_many_pairs_the_batch_is_the_same_and_soon_there() -> None:
    rng = np.random.default_rng(6)
    for kinds in (3, 15):
        pairs = collisions(rng.integers(0, kinds, 120))
        assert len(pairs.first) > 120
        place = np.random.default_rng(0)
        every = []
        for _ in range(2000):
            order = place.permutation(120)
            every.append(1 + np.maximum(order[pairs.first], order[pairs.second]).min())
        assert half_chance_batch(pairs, 120, 0) == np.sort(every)[1000 - 1]
    assert half_chance_batch(collisions(np.zeros(1500, int)), 1500, 0) == 2
