"""Intervals of medians and of their ratios; how often they cover is in test_coverage.py."""

import numpy as np
import pytest
from offmanifold.core.statistics.medians import median_interval, median_ratio_interval
from scipy import stats

VALUES = np.random.default_rng(0).lognormal(size=40)


def bounds(values: np.ndarray, **settings: int) -> list[float]:
    found = median_interval(values, **settings)
    return [found.low, found.high]


def test_interpolation_between_order_statistics_as_published() -> None:
    """Nyblom (1992), eq. 4, written out for 10 values: depths 2 and 3."""
    values = np.arange(1.0, 11.0)
    outer, inner = (1 - 2 * stats.binom.cdf(d - 1, 10, 0.5) for d in (2, 3))
    share = (outer - 0.95) / (outer - inner)
    weight = 8 * share / (2 + 6 * share)
    assert bounds(values) == pytest.approx([2 + weight, 9 - weight])


def test_it_lies_between_the_exact_bounds() -> None:
    ordered, held = np.sort(VALUES), 1 - 2 * stats.binom.cdf(np.arange(20), 40, 0.5)
    depth = int(np.sum(held >= 0.95))
    low, high = bounds(VALUES)
    assert ordered[depth - 1] <= low <= ordered[depth]
    assert ordered[-depth - 1] <= high <= ordered[-depth]


def test_it_follows_the_values_monotonically() -> None:
    assert bounds(-VALUES) == pytest.approx([-bound for bound in bounds(VALUES)][::-1])


def test_few_values_have_no_interval() -> None:
    assert bounds(VALUES[:6]) == pytest.approx([VALUES[:6].min(), VALUES[:6].max()], rel=0.3)
    assert np.isnan(bounds(VALUES[:5])).all()
    found = median_interval(VALUES[:5])
    assert (found.value, found.n) == (np.median(VALUES[:5]), 5)


def test_failed_images_lie_at_either_end() -> None:
    low, high = bounds(VALUES, failed=3)
    assert low == bounds(np.concatenate([VALUES, np.full(3, -1e9)]))[0]
    assert high == bounds(np.concatenate([VALUES, np.full(3, 1e9)]))[1]
    assert low < bounds(VALUES)[0]
    assert high > bounds(VALUES)[1]
    found = median_interval(VALUES, failed=3)
    assert (found.value, found.n) == (np.median(VALUES), 40)
    # Where more failed than the depth of a bound there is no telling how far it lies.
    assert np.isnan(bounds(VALUES, failed=40)).all()


def test_a_ratio_of_medians_is_movers() -> None:
    other = 2 + VALUES[:30]
    found = median_ratio_interval(VALUES, other)
    m, n = np.log(np.median(VALUES)), np.log(np.median(other))
    (l1, u1), (l2, u2) = np.log(bounds(VALUES)), np.log(bounds(other))
    expected = [m - n - np.hypot(m - l1, u2 - n), m - n + np.hypot(u1 - m, n - l2)]
    assert np.log([found.low, found.high]) == pytest.approx(expected)
    assert np.log(found.value) == pytest.approx(m - n)
    turned = median_ratio_interval(other, VALUES)
    assert [1 / turned.high, 1 / turned.low] == pytest.approx([found.low, found.high])
    assert (found.n, turned.n) == (40, 30)


def test_a_ratio_with_failed_images_is_wider_at_the_end_they_may_lie_at() -> None:
    found = median_ratio_interval(VALUES, VALUES)
    first = median_ratio_interval(VALUES, VALUES, failed_first=2)
    both = median_ratio_interval(VALUES, VALUES, failed_first=2, failed_second=2)
    assert both.low < first.low < found.low
    assert found.high < first.high < both.high
    assert found.value == first.value == both.value == 1
    assert np.isnan(median_ratio_interval(VALUES, VALUES, failed_second=30).high)


def test_zeros() -> None:
    zeros = np.zeros(20)
    nothing = median_ratio_interval(zeros, VALUES)
    assert nothing.value == 0
    assert np.isnan([nothing.low, nothing.high]).all()
    infinite = median_ratio_interval(VALUES, zeros)
    assert infinite.value == np.inf
    assert np.isnan([infinite.low, infinite.high]).all()
    # A median's interval that reaches 0: so does the ratio's.
    some = median_ratio_interval(np.concatenate([np.zeros(18), VALUES[:20]]), VALUES)
    assert some.low == 0
    assert some.value > 0


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="second holds a negative"):
        median_ratio_interval(VALUES, -VALUES)
    with pytest.raises(ValueError, match="1 nan"):
        median_interval(np.array([np.nan, 1.0]))
