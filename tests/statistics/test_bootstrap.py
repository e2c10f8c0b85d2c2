from typing import Literal

import numpy as np
import pytest
from offmanifold.core.statistics.bootstrap import (
    bootstrap_interval,
    exact_binomial_bounds,
    two_sample_interval,
)
from scipy import stats


def mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=-1)


def coverage_bounds(level: float, repeats: int) -> tuple[float, float]:
    """Four standard errors of an observed coverage around its nominal level."""
    error = 4 * np.sqrt(level * (1 - level) / repeats)
    return level - error, level + error


def quantile_error(draws: int) -> float:
    """Standard error of the 2.5% quantile of ``draws`` standard normal draws."""
    return np.sqrt(0.025 * 0.975 / draws) / stats.norm.pdf(1.96)


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_interval_agrees_with_scipy(method: Literal["percentile", "bca"]) -> None:
    values = np.random.default_rng(0).gamma(2.0, size=80)
    ours = bootstrap_interval(values, mean, seed=1, resamples=20_000, method=method)
    theirs = stats.bootstrap(
        (values,),
        np.mean,
        n_resamples=20_000,
        method="percentile" if method == "percentile" else "BCa",
        rng=np.random.default_rng(2),
    ).confidence_interval
    # BCa's bias correction, estimated from the same draws, about doubles the variance of a bound.
    draws = 20_000 if method == "percentile" else 10_000
    tolerance = 4 * np.sqrt(2) * quantile_error(draws) * values.std() / np.sqrt(80)
    assert abs(ours.low - theirs.low) < tolerance
    assert abs(ours.high - theirs.high) < tolerance


@pytest.mark.parametrize("method", ["percentile", "bca"])
def test_mean_interval_covers_at_its_level(method: Literal["percentile", "bca"]) -> None:
    rng = np.random.default_rng(3)
    repeats = 400
    hits = 0
    for repeat in range(repeats):
        interval = bootstrap_interval(rng.normal(size=100), mean, seed=repeat, method=method)
        hits += interval.low <= 0 <= interval.high
    # The bootstrap's normal quantile without Student's correction costs 0.4% at n = 100.
    low, high = coverage_bounds(0.946, repeats)
    assert low <= hits / repeats <= high


def test_two_sample_interval_covers_a_difference() -> None:
    rng = np.random.default_rng(4)
    repeats = 400
    hits = 0
    for repeat in range(repeats):
        first, second = rng.normal(1.0, size=100), rng.normal(0.0, 2.0, size=140)
        interval = two_sample_interval(first, second, lambda a, b: mean(a) - mean(b), seed=repeat)
        hits += interval.low <= 1.0 <= interval.high
    low, high = coverage_bounds(0.946, repeats)
    assert low <= hits / repeats <= high


def test_strata_keep_their_sizes() -> None:
    values = np.concatenate([np.zeros(30), np.full(10, 100.0)])
    strata = np.repeat([0, 1], [30, 10])
    interval = bootstrap_interval(values, mean, seed=0, strata=strata)
    assert interval.low == interval.high == interval.value == 25.0
    unstratified = bootstrap_interval(values, mean, seed=0)
    assert unstratified.high - unstratified.low > 10


def test_blocks_do_not_change_the_result_size() -> None:
    values = np.random.default_rng(5).normal(size=9000)
    interval = bootstrap_interval(values, mean, seed=0)
    standard_error = values.std() / np.sqrt(9000)
    spread = 4 * quantile_error(2000) * standard_error
    assert abs(interval.low - (interval.value - 1.96 * standard_error)) < spread
    assert abs(interval.high - (interval.value + 1.96 * standard_error)) < spread


def test_the_seed_decides() -> None:
    values = np.random.default_rng(6).normal(size=50)
    assert bootstrap_interval(values, mean, seed=7) == bootstrap_interval(values, mean, seed=7)
    assert bootstrap_interval(values, mean, seed=7) != bootstrap_interval(values, mean, seed=8)


def test_one_image_has_no_interval() -> None:
    interval = bootstrap_interval(np.array([2.0]), mean, seed=0)
    assert interval.value == 2.0
    assert np.isnan([interval.low, interval.high]).all()


def test_exact_bounds_match_scipy() -> None:
    for successes in (0, 3, 20):
        expected = stats.binomtest(successes, 20).proportion_ci(0.95, method="exact")
        assert exact_binomial_bounds(successes, 20) == pytest.approx((expected.low, expected.high))


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
        bootstrap_interval(values, mean, seed=0, resamples=resamples)
