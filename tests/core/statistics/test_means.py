"""Intervals of means and of leads; how often they cover is in test_coverage.py."""

import numpy as np
import pytest
from offmanifold.core.statistics.leads import simultaneous_leads
from offmanifold.core.statistics.means import (
    MINIMUM_IMAGES_OF_A_MEAN,
    mean_difference_interval,
    mean_interval,
)
from scipy import stats

SKEWED = np.random.default_rng(0).lognormal(0, 1.5, 64)


def test_of_many_normal_values_it_is_students() -> None:
    values = np.random.default_rng(1).normal(3, 2, 5000)
    found = mean_interval(values, 0, resamples=20_000)
    theirs = stats.ttest_1samp(values, 0).confidence_interval()
    # The bootstrap-t's quantiles differ from Student's by their Monte Carlo error: four of them.
    error = np.sqrt(0.025 * 0.975 / 20_000) / stats.norm.pdf(1.96) * values.std() / np.sqrt(5000)
    assert found.low == pytest.approx(theirs.low, abs=4 * error)
    assert found.high == pytest.approx(theirs.high, abs=4 * error)


def test_it_holds_students_and_reaches_further_on_the_long_side() -> None:
    found, theirs = mean_interval(SKEWED, 0), stats.ttest_1samp(SKEWED, 0).confidence_interval()
    assert found.low <= theirs.low
    assert found.high > theirs.high + (theirs.high - theirs.low) / 8


def test_it_moves_and_scales_with_the_values() -> None:
    found, other = mean_interval(SKEWED, 0), mean_interval(10 - 2 * SKEWED, 0)
    np.testing.assert_allclose(
        [10 - 2 * found.value, 10 - 2 * found.high, 10 - 2 * found.low],
        [other.value, other.low, other.high],
    )


def test_the_bootstrap_t_agrees_with_one_written_out() -> None:
    """Without skewness Hall's interval is the bootstrap-t itself; Student's is narrower here."""
    values = np.concatenate([np.full(10, -8.0), np.zeros(10), np.full(10, 8.0)])
    values += np.linspace(-1, 1, 30)
    found = mean_interval(values, 0, resamples=40_000)
    rng, draws = np.random.default_rng(1), []
    for _ in range(40_000):
        drawn = values[rng.integers(0, 30, 30)]
        draws.append(drawn.mean() / (drawn.std(ddof=1) / np.sqrt(30)))
    low, high = np.quantile(draws, [0.025, 0.975]) * values.std(ddof=1) / np.sqrt(30)
    assert found.low == pytest.approx(-high, rel=0.03)
    assert found.high == pytest.approx(-low, rel=0.03)


def test_few_images_have_a_mean_but_no_interval() -> None:
    few = SKEWED[: MINIMUM_IMAGES_OF_A_MEAN - 1]
    found = mean_interval(few, 0)
    assert found.value == few.mean()
    assert np.isnan([found.low, found.high]).all()
    assert np.isfinite(mean_interval(SKEWED[:MINIMUM_IMAGES_OF_A_MEAN], 0).low)
    difference = mean_difference_interval(SKEWED, few, 0)
    assert np.isnan([difference.low, difference.high]).all()


@pytest.mark.parametrize("values", [np.full(64, 0.1), np.concatenate([np.zeros(63), [1.0]])])
def test_values_of_which_most_are_equal_have_no_interval(values: np.ndarray) -> None:
    """With one other value in 64 a third of all resamples do not vary."""
    found = mean_interval(values, 0)
    assert found.value == pytest.approx(values.mean())
    assert np.isnan([found.low, found.high]).all()
    difference = mean_difference_interval(values, values, 0)
    assert np.isnan([difference.low, difference.high]).all()


def test_a_difference_of_means_is_antisymmetric_up_to_chance() -> None:
    other = np.random.default_rng(2).normal(3, 1, 40)
    found, turned = (
        mean_difference_interval(*pair, 0, resamples=20_000)
        for pair in ((SKEWED, other), (other, SKEWED))
    )
    assert found.value == -turned.value == pytest.approx(SKEWED.mean() - other.mean())
    width = found.high - found.low
    assert found.low == pytest.approx(-turned.high, abs=0.05 * width)
    assert found.high == pytest.approx(-turned.low, abs=0.05 * width)
    assert (found.n, turned.n) == (64, 40)


def test_two_groups_leads_are_a_symmetric_bootstrap_t() -> None:
    rng = np.random.default_rng(3)
    groups = {"a": rng.normal(0, 1, 200), "b": rng.normal(1, 3, 300)}
    found = simultaneous_leads(groups, 0, resamples=20_000)
    theirs = stats.ttest_ind(groups["b"], groups["a"], equal_var=False).confidence_interval()
    assert found.leader == "b"
    assert list(found.over) == ["a"]
    assert found.over["a"].n == 300
    assert found.over["a"].low == pytest.approx(theirs.low, abs=0.03)
    assert found.over["a"].high == pytest.approx(theirs.high, abs=0.03)


def test_many_groups_leads_are_tukeys() -> None:
    rng = np.random.default_rng(4)
    groups = {str(i): rng.normal(size=200) for i in range(5)}
    found = simultaneous_leads(groups, 0, resamples=20_000)
    quantile = stats.studentized_range.ppf(0.95, 5, 995) / np.sqrt(2)
    for name, interval in found.over.items():
        error = np.sqrt((groups[found.leader].var(ddof=1) + groups[name].var(ddof=1)) / 200)
        assert interval.high - interval.value == pytest.approx(quantile * error, rel=0.03)
        assert interval.value == pytest.approx(interval.high / 2 + interval.low / 2)


def test_a_small_group_is_led_without_an_interval() -> None:
    rng = np.random.default_rng(5)
    groups = {"a": rng.normal(9, 1, 50), "b": rng.normal(size=50), "few": rng.normal(size=5)}
    found = simultaneous_leads(groups, 0)
    assert found.leader == "a"
    assert np.isnan(found.over["few"].low)
    alone = simultaneous_leads({name: groups[name] for name in ("a", "b")}, 0)
    assert found.over["b"] == alone.over["b"]


def test_the_seed_decides() -> None:
    assert mean_interval(SKEWED, 7) == mean_interval(SKEWED, 7)
    assert mean_interval(SKEWED, 7) != mean_interval(SKEWED, 8)


@pytest.mark.parametrize(
    ("values", "resamples", "message"),
    [
        (np.array([]), 2000, "empty"),
        (np.array([1.0, np.nan]), 2000, "1 nan"),
        (np.ones(3), 100, "at least 2000"),
    ],
)
def test_bad_input_is_named(values: np.ndarray, resamples: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_interval(values, 0, resamples=resamples)
    with pytest.raises(ValueError, match=message):
        simultaneous_leads({"a": values, "b": np.ones(3)}, 0, resamples=resamples)
    with pytest.raises(ValueError, match="confidence is 2"):
        mean_interval(np.ones(3), 0, confidence=2.0)
