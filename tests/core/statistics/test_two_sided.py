"""Two-sided p-values among held-out images: their level, their ranks, and what they find."""

import numpy as np
import pytest
from offmanifold.core.statistics.two_sided import count_unlike, two_sided_p_values
from scipy import stats

LAWS = {
    "normal": lambda rng, n: rng.normal(size=(n, 2)),
    "dependent and skewed": lambda rng, n: (
        np.exp(rng.normal(size=(n, 1))) * rng.normal(size=(1, 2)) + rng.normal(size=(n, 2))
    ),
    "long tails": lambda rng, n: rng.standard_t(2, size=(n, 2)) * [1, 1000],
}


@pytest.mark.parametrize("law", LAWS)
def test_p_values_of_like_images_are_uniform(law: str) -> None:
    rng, held, repeats = np.random.default_rng(5), 39, 800
    found = []
    for _ in range(repeats):
        drawn = LAWS[law](rng, held + 1)
        found.append(two_sided_p_values(drawn[-1:], drawn[:-1])[0])
    # Exchangeable and without ties: uniform on 1/40, ..., 1.
    counts = np.bincount(np.rint(np.multiply(found, held + 1)).astype(int), minlength=held + 2)[1:]
    assert stats.chisquare(counts.reshape(10, -1).sum(axis=1)).pvalue > 1e-3


def test_both_sides_of_both_scores_are_seen() -> None:
    rng = np.random.default_rng(2)
    held = rng.normal(size=(99, 2)) * [1.0, 50.0]
    strange = np.array([[6.0, 0.0], [-6.0, 0.0], [0.0, 300.0], [0.0, -300.0]])
    np.testing.assert_allclose(two_sided_p_values(strange, held), 0.01)
    assert two_sided_p_values(np.median(held, axis=0)[None], held)[0] == 1.0


def test_they_are_ranks_by_hand() -> None:
    held = np.array([[0.0], [1.0], [2.0], [3.0], [4.0]])
    assert two_sided_p_values(np.array([[2.0]]), held)[0] == 1.0
    # The farthest on its side, as 0 is on the other, and farther out than 0.
    assert two_sided_p_values(np.array([[9.0]]), held)[0] == pytest.approx(1 / 6)
    # Second from above; 0 and 4 are the farthest of their sides, and 1 is farther from the median.
    assert two_sided_p_values(np.array([[3.1]]), held)[0] == pytest.approx(4 / 6)


def test_a_long_tail_does_not_hide_what_lies_beyond_a_short_one() -> None:
    rng = np.random.default_rng(4)
    # A short upper side, a lower one of many decades.
    held = -np.exp(3 * rng.normal(size=(199, 1)))
    (found,) = two_sided_p_values(np.array([[0.0]]), held)
    assert found <= 2 / 200


def test_a_score_that_never_varies_is_no_reason_until_it_does() -> None:
    held = np.column_stack([np.zeros(30), np.arange(30.0)])
    ordinary, other = two_sided_p_values(np.array([[0.0, 14.5], [1e-9, 14.5]]), held)
    assert ordinary == 1.0
    assert other == pytest.approx(1 / 31)


def test_false_alarms_over_groups_are_those_of_the_level() -> None:
    rng, repeats, held, n = np.random.default_rng(8), 150, 39, 80
    alarms = 0
    for _ in range(repeats):
        drawn = LAWS["dependent and skewed"](rng, held + n)
        found = count_unlike(two_sided_p_values(drawn[held:], drawn[:held]), held, 0.05)
        alarms += found.p_value <= 0.05
    assert stats.binomtest(alarms, repeats, 0.05, alternative="greater").pvalue > 1e-3


def test_the_share_and_its_p_value() -> None:
    found = count_unlike(np.array([0.01] * 8 + [0.5] * 12), 99, 0.05)
    assert found.share.value == pytest.approx(0.4)
    assert found.share.n == 20
    draws = np.random.default_rng(1).beta(5, 95, 200_000)
    chance = np.random.default_rng(2).binomial(20, draws) >= 8
    assert found.p_value == pytest.approx(chance.mean(), abs=4 * chance.std() / 200_000**0.5)


def test_too_few_images_are_refused() -> None:
    with pytest.raises(ValueError, match="5 images among 18 held-out ones: too few"):
        count_unlike(np.full(5, 0.5), 18, 0.05)
    assert count_unlike(np.full(5, 1 / 20), 19, 0.05).share.value == 1.0
    with pytest.raises(ValueError, match="held_out is empty"):
        two_sided_p_values(np.zeros((1, 2)), np.zeros((0, 2)))
    with pytest.raises(ValueError, match="nan"):
        two_sided_p_values(np.array([[np.nan, 0]]), np.zeros((3, 2)))
