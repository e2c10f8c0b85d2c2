"""Intervals of proportions against scipy, and exact coverage by enumeration."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from offmanifold.core.statistics.interval import Interval
from offmanifold.core.statistics.proportions import (
    mcnemar_mid_p,
    paired_difference_interval,
    proportion_interval,
)
from scipy import optimize, stats

N = 64


@pytest.mark.parametrize("successes", [0, 1, 20, 63, 64])
def test_bounds_are_where_the_mid_p_value_is_at_the_level(successes: int) -> None:
    found = proportion_interval(successes, N)
    if successes > 0:
        above = stats.binom.sf(successes, N, found.low)
        assert above + stats.binom.pmf(successes, N, found.low) / 2 == pytest.approx(0.025)
    if successes < N:
        below = stats.binom.cdf(successes - 1, N, found.high)
        assert below + stats.binom.pmf(successes, N, found.high) / 2 == pytest.approx(0.025)
    assert (found.low == 0) == (successes == 0)
    assert (found.high == 1) == (successes == N)


def test_it_lies_within_the_exact_interval() -> None:
    for successes in range(N + 1):
        found = proportion_interval(successes, N)
        exact = stats.binomtest(successes, N).proportion_ci(0.95, method="exact")
        assert exact.low <= found.low <= found.value <= found.high <= exact.high


PROPORTION, PAIRED = cache(proportion_interval), cache(paired_difference_interval)


def covered(found: list[Interval], chance: np.ndarray, truth: float) -> float:
    held = [each.low - 1e-9 <= truth <= each.high + 1e-9 for each in found]
    return float(chance[held].sum())


@pytest.mark.parametrize("n", [16, 32, 64, 200])
@pytest.mark.parametrize("share", [0.5, 0.7, 0.9, 0.95, 0.99])
def test_exact_coverage_of_a_proportion(n: int, share: float) -> None:
    found = [PROPORTION(successes, n) for successes in range(n + 1)]
    coverage = covered(found, stats.binom.pmf(np.arange(n + 1), n, share), share)
    # Whole counts: no interval can be at 95% everywhere.
    assert 0.92 <= coverage <= 0.99


@pytest.mark.parametrize("n", [16, 32, 64])
@pytest.mark.parametrize("differing", [0.05, 0.1, 0.2])
@pytest.mark.parametrize("difference", [-0.02, 0.0, 0.02])
def test_exact_coverage_of_a_paired_difference(n: int, differing: float, difference: float) -> None:
    chances = [(differing + difference) / 2, (differing - difference) / 2, 1 - differing]
    # More than these differ with a chance below 1e-4.
    most = int(stats.binom.isf(1e-4, n, differing))
    counts = [(b, c) for b in range(most + 1) for c in range(most + 1 - b)]
    found = [PAIRED(b, c, n) for b, c in counts]
    chance = stats.multinomial.pmf([(b, c, n - b - c) for b, c in counts], n, chances)
    coverage = covered(found, chance, difference)
    assert coverage >= 0.94
    if n * differing >= 6:
        assert coverage <= 0.97


def score(first_only: int, second_only: int, n: int, difference: float) -> float:
    """The score statistic of a difference, its nuisance parameter by numerical maximisation."""

    def surprise(second: float) -> float:
        chances = [second + difference, second, 1 - 2 * second - difference]
        counts = [first_only, second_only, n - first_only - second_only]
        return -float(np.dot(counts, np.log(chances)))

    low, high = max(0.0, -difference), (1 - difference) / 2
    best = optimize.minimize_scalar(
        surprise, bounds=(low + 1e-12, high - 1e-12), method="bounded", options={"xatol": 1e-12}
    ).x
    variance = n * (2 * best + difference - difference**2)
    return float((first_only - second_only - n * difference) / np.sqrt(variance))


@pytest.mark.parametrize("counts", [(12, 2, 50), (3, 1, 30), (8, 20, 200)])
def test_bounds_are_where_tangos_score_is_at_the_level(counts: tuple[int, int, int]) -> None:
    found = paired_difference_interval(*counts)
    assert score(*counts, found.low) == pytest.approx(stats.norm.ppf(0.975), abs=1e-4)
    assert score(*counts, found.high) == pytest.approx(stats.norm.ppf(0.025), abs=1e-4)


def test_tangos_interval_of_newcombes_example() -> None:
    found = paired_difference_interval(12, 2, 50)
    assert found.value == pytest.approx(0.2)
    assert [found.low, found.high] == pytest.approx([0.0611, 0.3447], abs=5e-5)


def test_a_difference_turned_round_is_its_negative() -> None:
    found, turned = (paired_difference_interval(*pair, 40) for pair in ((7, 2), (2, 7)))
    assert [turned.value, turned.low, turned.high] == pytest.approx(
        [-found.value, -found.high, -found.low]
    )


@pytest.mark.parametrize("counts", [(0, 0), (40, 0), (0, 40), (0, 1)])
def test_no_difference_has_an_interval_without_width(counts: tuple[int, int]) -> None:
    found = paired_difference_interval(*counts, 40)
    assert -1 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.1


def test_failed_images_may_have_been_either() -> None:
    found = proportion_interval(50, 60, failed=4)
    assert (found.value, found.n) == (50 / 60, 60)
    assert found.low == proportion_interval(50, 64).low
    assert found.high == proportion_interval(54, 64).high
    paired = paired_difference_interval(5, 2, 60, failed=4)
    assert (paired.value, paired.n) == (3 / 60, 60)
    assert paired.low == paired_difference_interval(5, 6, 64).low
    assert paired.high == paired_difference_interval(9, 2, 64).high


@pytest.mark.parametrize(("first", "second"), [(3, 9), (9, 3), (0, 1), (0, 12), (1, 30)])
def test_mcnemars_mid_p_is_the_exact_one_less_half_of_the_observed_chance(
    first: int, second: int
) -> None:
    exact = stats.binomtest(first, first + second).pvalue
    observed = stats.binom.pmf(first, first + second, 0.5)
    assert mcnemar_mid_p(first, second) == pytest.approx(exact - observed)


def test_equal_counts_speak_for_no_difference() -> None:
    assert mcnemar_mid_p(0, 0) == mcnemar_mid_p(7, 7) == 1


@pytest.mark.parametrize(
    "call",
    [
        lambda: proportion_interval(3, 2),
        lambda: proportion_interval(0, 0),
        lambda: paired_difference_interval(3, 2, 4),
        lambda: mcnemar_mid_p(-1, 2),
    ],
)
def test_bad_counts_are_named(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match="expected counts of images"):
        call()
