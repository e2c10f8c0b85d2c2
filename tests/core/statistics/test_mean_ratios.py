"""Ratios of means: normal values by Fieller, coverage, and what has no interval."""

import numpy as np
import pytest
from offmanifold.core.statistics.mean_ratios import mean_ratio_interval
from scipy import stats

from .ratio_coverage import areas, coverage


def test_of_many_even_values_it_is_fiellers_interval() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.normal(5, 1, 4000), rng.normal(2, 0.5, 4000)
    found = mean_ratio_interval(first, second, 0)
    a, b = first.mean(), second.mean()
    va, vb = first.var(ddof=1) / 4000, second.var(ddof=1) / 4000
    t = stats.norm.ppf(0.975)
    root = t * np.sqrt(va * (b**2 - t**2 * vb) + vb * a**2)
    low, high = ((a * b + sign * root) / (b**2 - t**2 * vb) for sign in (-1, 1))
    assert found.value == pytest.approx(a / b)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-3)


def test_it_holds_as_often_as_it_says() -> None:
    replicates = 60
    held, printed = coverage(200, 0.3, 0.3, "small", replicates)
    assert printed == 1
    # So few that a true 93% fails once in a thousand.
    assert held * replicates >= stats.binom.ppf(1e-3, replicates, 0.93)


def test_without_enough_objects_there_is_no_interval() -> None:
    rng = np.random.default_rng(1)
    real, none = areas(rng, 200, 0.5, "any"), np.zeros(200)
    few = np.where(np.arange(200) < 15, 0.5, 0.0)
    for made in (none, few):
        found = mean_ratio_interval(made, real, 0)
        assert found.value == pytest.approx(made.mean() / real.mean())
        assert np.isnan([found.low, found.high]).all()
    assert np.isnan(mean_ratio_interval(real, none, 0).value)
    with pytest.raises(ValueError, match="below 0"):
        mean_ratio_interval(real - 0.5, real, 0)
    with pytest.raises(ValueError, match="empty"):
        mean_ratio_interval(real[:0], real, 0)
