import numpy as np
import pytest
from offmanifold.core.statistics.bootstrap import bootstrap_interval
from scipy import stats


def mean(values: np.ndarray) -> np.ndarray:
    return values.mean(axis=-1)


def quantile_error(draws: int) -> float:
    """Standard error of the 2.5% quantile of ``draws`` standard normal draws."""
    return np.sqrt(0.025 * 0.975 / draws) / stats.norm.pdf(1.96)


def test_interval_agrees_with_scipy() -> None:
    values = np.random.default_rng(0).gamma(2.0, size=80)
    ours = bootstrap_interval(values, mean, seed=1, resamples=20_000)
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    tolerance = 4 * np.sqrt(2) * quantile_error(20_000) * values.std() / np.sqrt(80)
    assert abs(ours.low - theirs.low) < tolerance
    assert abs(ours.high - theirs.high) < tolerance


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
