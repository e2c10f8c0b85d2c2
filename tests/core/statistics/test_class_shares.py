"""Two class histograms: the floor of their distance, sizes of tests, intervals that hold."""

import numpy as np
import pytest
from offmanifold.core.statistics.class_shares import (
    compare_shares,
    effective_classes,
    share_ratio,
    total_variation_interval,
)
from scipy import stats

EVEN = np.full(10, 0.1)
WITHOUT_ONE = np.append(np.full(9, 1 / 9), 0.0)


def test_the_floor_is_what_two_samples_of_one_distribution_differ_by() -> None:
    """.054 for 10 classes and two samples of 1,000: C/2 sqrt(2/pi) sqrt(p (1 - p) 2 / n)."""
    counts = np.full(10, 100)
    expected = 5 * np.sqrt(2 / np.pi) * np.sqrt(0.09 * 2 / 1000)
    assert expected == pytest.approx(0.054, abs=0.001)
    # 10,000 draws of a distance with a standard deviation of 0.013.
    assert compare_shares(counts, counts, 0).floor == pytest.approx(expected, abs=0.001)


def test_the_statistic_is_pearsons_and_its_p_value_agrees_where_counts_are_large() -> None:
    first, second = np.array([480, 320, 200]), np.array([1020, 560, 420])
    expected = stats.chi2_contingency(np.stack([first, second]), correction=False)
    found = compare_shares(first, second, 0)
    assert found.chi_squared == pytest.approx(expected.statistic)
    assert found.p_value == pytest.approx(expected.pvalue, abs=0.02)
    assert found.total_variation == pytest.approx(0.04)


def test_a_class_that_neither_sample_has_changes_nothing() -> None:
    first, second = np.array([30, 20, 0]), np.array([25, 25, 0])
    assert compare_shares(first, second, 0).chi_squared == pytest.approx(
        compare_shares(first[:2], second[:2], 0).chi_squared
    )


def test_equal_shares_are_rejected_in_five_of_a_hundred_samples() -> None:
    rng = np.random.default_rng(0)
    shares = 0.6 ** np.arange(1, 11) / np.sum(0.6 ** np.arange(1, 11))
    p_values = [
        compare_shares(rng.multinomial(150, shares), rng.multinomial(60, shares), seed).p_value
        for seed in range(100)
    ]
    # Four standard errors of a share of 5% in 100.
    assert np.mean(np.array(p_values) < 0.05) == pytest.approx(0.05, abs=0.09)
    assert np.mean(p_values) == pytest.approx(0.5, abs=4 * 0.29 / np.sqrt(100))


@pytest.mark.parametrize("shares", [EVEN, WITHOUT_ONE])
def test_the_interval_of_the_total_variation_holds(shares: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    truth = 0.5 * np.abs(shares - EVEN).sum()
    held = []
    for seed in range(25):
        found = total_variation_interval(
            rng.multinomial(500, shares), rng.multinomial(500, EVEN), seed
        )
        held.append(found.low - 1e-9 <= truth <= found.high + 1e-9)
    assert np.mean(held) >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / 25)
    if shares is EVEN:
        # Reaches down to 0, where a bootstrap around the observed distance never does.
        assert found.low == 0.0


def test_the_effective_number_of_classes_is_exp_of_the_entropy() -> None:
    halves = effective_classes(np.array([50_000, 50_000, 0, 0]))
    assert halves.value == pytest.approx(2.0, rel=1e-4)
    assert effective_classes(np.array([7, 0, 0])).value == 1.0
    uneven = effective_classes(np.array([70_000, 20_000, 10_000]))
    entropy = -(0.7 * np.log(0.7) + 0.2 * np.log(0.2) + 0.1 * np.log(0.1))
    assert uneven.value == pytest.approx(np.exp(entropy), rel=1e-4)


@pytest.mark.parametrize("shares", [WITHOUT_ONE, np.append(0.7, np.full(9, 0.3 / 9))])
def test_the_interval_of_the_effective_number_holds(shares: np.ndarray) -> None:
    rng = np.random.default_rng(0)
    positive = shares[shares > 0]
    truth = np.exp(-(positive * np.log(positive)).sum())
    intervals = [effective_classes(rng.multinomial(200, shares)) for _ in range(1000)]
    held = np.mean([each.low - 1e-9 <= truth <= each.high + 1e-9 for each in intervals])
    assert held >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / 1000)
    # Without Miller's correction the mean is low by half of (classes - 1) / n.
    mean = np.mean([each.value for each in intervals])
    assert mean == pytest.approx(truth, rel=0.02)


def test_the_ratio_of_shares_is_koopmans_of_his_example() -> None:
    """36 of 40 and 16 of 80 (Koopman 1984, table 1)."""
    found = share_ratio(36, 40, 16, 80)
    assert found.value == pytest.approx(4.5)
    assert (found.low, found.high) == pytest.approx((2.94, 7.15), abs=0.01)


@pytest.mark.parametrize(
    ("counts", "value", "low_is_zero", "high_is_infinite"),
    [
        ((0, 100, 10, 100), 0.0, True, False),
        ((5, 100, 0, 100), np.inf, False, True),
        ((100, 100, 100, 100), 1.0, False, False),
        ((1, 3, 1, 100_000), 100_000 / 3, False, False),
    ],
)
def test_ratios_at_the_ends(
    counts: tuple[int, int, int, int], value: float, low_is_zero: bool, high_is_infinite: bool
) -> None:
    found = share_ratio(*counts)
    assert found.value == pytest.approx(value)
    assert (found.low == 0.0) is low_is_zero
    assert (found.high == np.inf) is high_is_infinite
    assert found.low <= found.value <= found.high


def test_a_class_that_nobody_has_has_no_ratio() -> None:
    found = share_ratio(0, 100, 0, 100)
    assert np.isnan(found.value)
    assert (found.low, found.high) == (0.0, np.inf)


@pytest.mark.parametrize(("first", "second"), [(0.1, 0.1), (0.01, 0.02)])
def test_the_interval_of_a_ratio_holds(first: float, second: float) -> None:
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        found = share_ratio(rng.binomial(400, first), 400, rng.binomial(300, second), 300)
        held.append(found.low <= first / second <= found.high)
    assert np.mean(held) >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / 200)


@pytest.mark.parametrize(("first", "second"), [([0, 0], [1, 2]), ([-1, 2], [1, 2])])
def test_counts_that_are_none_are_refused(first: list[int], second: list[int]) -> None:
    with pytest.raises(ValueError, match="expected"):
        compare_shares(np.array(first), np.array(second), 0)
