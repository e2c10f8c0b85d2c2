import numpy as np
import pytest
from offmanifold.core.statistics.label_permutation import LabelTest, permute_labels
from offmanifold.core.statistics.neighbour_lists import nearest_lists


def audited(rng: np.random.Generator, copies: int, spread: float, seed: int) -> LabelTest:
    """Generated images about a pool of equally many training and held-out images."""
    pool = rng.normal(size=(200, 3))
    training = np.arange(200) < 100
    generated = spread * rng.normal(size=(80, 3))
    generated[:copies] = pool[rng.integers(0, 100, copies)] + 0.001 * rng.normal(size=(copies, 3))
    found = nearest_lists(generated, pool, 10)
    nearness = found.distance[:, 0] / found.distance.mean(axis=1)
    return permute_labels(found.index[:, 0], nearness, training, seed, sets=200)


@pytest.mark.parametrize("spread", [0.2, 1.0])
def test_no_generator_is_convicted_whatever_it_makes(spread: float) -> None:
    rng = np.random.default_rng(0)
    found = [audited(rng, 0, spread, seed).p_value <= 0.05 for seed in range(100)]
    assert np.mean(found) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 100)


def test_copies_are_found() -> None:
    rng = np.random.default_rng(1)
    found = [audited(rng, 15, 1.0, seed) for seed in range(20)]
    assert all(each.p_value < 0.01 for each in found)
    assert found[0].expected == 0.5
    # (1/2)^5 is the first power of 1/2 below .05.
    assert found[0].fewest == 5


def test_the_p_value_of_one_cut_is_the_hypergeometric_tail() -> None:
    # Four images, each its own nearest, of a pool of 4 and 4: only the cut of all of them is there.
    training = np.arange(8) < 4
    found = permute_labels(np.arange(4), np.arange(4.0), training, 0, sets=20_000)
    assert found.p_value == pytest.approx(1 / 70, abs=4 * np.sqrt(1 / 70 / 20_000))
    assert found.training == 1.0


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="one kind alone"):
        permute_labels(np.arange(4), np.arange(4.0), np.ones(8, bool), 0)
    with pytest.raises(ValueError, match="not in the pool"):
        permute_labels(np.array([8]), np.zeros(1), np.arange(8) < 4, 0)
