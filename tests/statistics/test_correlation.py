"""Correlations and overlaps against scipy, closed forms and each other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from offmanifold.core.statistics.bootstrap import Interval
from offmanifold.core.statistics.correlation import (
    Kind,
    class_correlations,
    correlation_interval,
    pair_correlations,
    pearson,
    spearman,
)
from offmanifold.core.statistics.overlap import top_indices, top_overlap, top_size
from scipy import stats

THEIRS: dict[Kind, Callable[..., object]] = {
    "pearson": stats.pearsonr,
    "spearman": stats.spearmanr,
}


def interval(*arguments: Any, **settings: Any) -> Interval:
    found = correlation_interval(*arguments, **settings)
    assert found is not None
    return found


def scores(n: int, rho: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two normal scores of correlation rho, on the scale of log densities."""
    rng = np.random.default_rng(seed)
    first = rng.standard_normal(n)
    second = rho * first + np.sqrt(1 - rho**2) * rng.standard_normal(n)
    return 4000 + 300 * first, -900 + 40 * second


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_coefficients_agree_with_scipy(kind: Kind) -> None:
    first, second = scores(50, 0.6)
    first, second = np.round(first, -2), np.round(second, -1)  # ties
    theirs = THEIRS[kind](first, second)
    expected = theirs.statistic  # type: ignore[attr-defined]
    ours = pearson if kind == "pearson" else spearman
    assert ours(first, second) == pytest.approx(expected)
    assert interval(first, second, kind, 0).value == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_interval_agrees_with_scipys_bootstrap(kind: Kind) -> None:
    pair = scores(80, 0.7)
    ours = interval(*pair, kind, seed=1, resamples=8000)

    def statistic(first: np.ndarray, second: np.ndarray, axis: int) -> np.ndarray:
        assert axis in (-1, 1)
        return (pearson if kind == "pearson" else spearman)(first, second)

    theirs = stats.bootstrap(
        pair,
        statistic,
        n_resamples=8000,
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    # Four standard errors of a 2.5% quantile of 8000 draws, twice (both sides are estimates).
    error = 4 * np.sqrt(2) * np.sqrt(0.025 * 0.975 / 8000) / stats.norm.pdf(1.96)
    spread = (ours.high - ours.low) / 3.92
    assert ours.low == pytest.approx(theirs.low, abs=error * 1.5 * spread)
    assert ours.high == pytest.approx(theirs.high, abs=error * 1.5 * spread)
    assert ours.low < ours.value < ours.high
    assert ours.n == 80


@pytest.mark.slow
@pytest.mark.ci
def test_interval_covers_the_true_correlation() -> None:
    repeats, hits = 300, 0
    for repeat in range(repeats):
        found = interval(*scores(100, 0.8, seed=repeat), "pearson", repeat)
        hits += found.low <= 0.8 <= found.high
    # Percentile intervals of a correlation of 100 images cover 93 to 95%; four standard errors.
    assert hits / repeats > 0.94 - 4 * np.sqrt(0.94 * 0.06 / repeats)


def test_a_perfect_correlation_has_an_interval_of_no_width() -> None:
    first, _ = scores(30, 0.5)
    found = interval(first, -2 * first, "pearson", 0)
    assert (found.value, found.low, found.high) == pytest.approx((-1, -1, -1))


def test_what_does_not_vary_has_no_correlation() -> None:
    first, _ = scores(30, 0.5)
    assert np.isnan(pearson(first, np.full(30, 0.1)))
    assert correlation_interval(first, np.full(30, 0.1), "pearson", 0) is None
    assert correlation_interval(first[:9], first[:9], "spearman", 0) is None
    # An image without one of the scores is left out.
    first[3] = np.nan
    found = correlation_interval(first, np.arange(30.0), "pearson", 0)
    assert found is not None
    assert found.n == 29


def by_own_class(sizes: list[int], rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Scores where every image was evaluated under its own class alone."""
    n = sum(sizes)
    first, second = np.full((2, n, len(sizes)), np.nan)
    own = np.repeat(np.arange(len(sizes)), sizes)
    a, b = scores(n, rho)
    first[np.arange(n), own], second[np.arange(n), own] = a + 1000 * own, b - 1000 * own
    return first, second


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_the_mean_over_classes_is_of_each_classs_own_images(kind: Kind) -> None:
    first, second = by_own_class([20, 30, 9], 0.8)
    found = class_correlations(first, second, kind, 0)
    assert found is not None
    # The class of nine images is too small; the levels of the classes do not enter.
    assert sorted(found.by_class) == [0, 1]
    expected = []
    for c in (0, 1):
        m = ~np.isnan(first[:, c])
        theirs = THEIRS[kind](first[m, c], second[m, c]).statistic  # type: ignore[attr-defined]
        assert found.by_class[c].value == pytest.approx(theirs)
        assert found.by_class[c].n == m.sum()
        expected.append(theirs)
    assert found.mean.value == pytest.approx(np.mean(expected))
    assert found.mean.n == 50
    assert found.mean.low < found.mean.value < found.mean.high
    # Two independent halves: the mean varies less than either.
    widths = [each.high - each.low for each in found.by_class.values()]
    assert found.mean.high - found.mean.low < max(widths)


def test_images_under_every_class_move_in_all_of_them_at_once() -> None:
    a, b = scores(60, 0.8)
    found = class_correlations(np.stack([a] * 3, 1), np.stack([b] * 3, 1), "pearson", 0)
    assert found is not None
    alone = interval(a, b, "pearson", 0)
    assert (found.mean.low, found.mean.high) == pytest.approx((alone.low, alone.high))
    assert found.mean.n == 60


def test_no_class_with_enough_images_gives_none() -> None:
    assert class_correlations(*by_own_class([9, 9], 0.8), "pearson", 0) is None


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_pairs_of_classes_agree_with_scipy(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((40, 1)) + 0.5 * rng.standard_normal((40, 4))
    found = pair_correlations(table, kind, 0)
    theirs: Any = (
        np.corrcoef(table.T) if kind == "pearson" else np.array(stats.spearmanr(table).statistic)
    )
    np.testing.assert_allclose(found.matrix, theirs, atol=1e-12)
    mean = theirs[np.triu_indices(4, 1)].mean()
    assert found.mean.value == pytest.approx(mean)
    assert found.mean.low < mean < found.mean.high
    with pytest.raises(ValueError, match="1 classes"):
        pair_correlations(table[:, :1], kind, 0)


def test_two_classes_are_one_correlation() -> None:
    pair = scores(40, 0.6)
    found = pair_correlations(np.stack(pair, 1), "pearson", 5, resamples=8000)
    alone = interval(*pair, "pearson", 5, resamples=8000)
    assert found.mean.value == pytest.approx(alone.value)
    assert (found.mean.low, found.mean.high) == pytest.approx((alone.low, alone.high))


def test_overlap_of_the_highest() -> None:
    first = np.arange(100.0)
    assert top_size(100) == 20
    assert top_size(39) == 19
    assert top_overlap(first, 7 * first - 3, 0).value == 1
    assert top_overlap(first, -first, 0).value == 0
    half = first.copy()
    half[80:90] -= 90  # ten of the twenty highest go to the bottom
    found = top_overlap(first, half, 0)
    assert found.value == 0.5
    assert found.low < 0.5 < found.high
    with pytest.raises(ValueError, match="1 images"):
        top_overlap(first[:1], first[:1], 0)


def test_equal_scores_go_to_the_first() -> None:
    np.testing.assert_array_equal(top_indices(np.array([1.0, 3, 3, 2, 3]), 2), [1, 2])


def test_unrelated_rankings_share_size_over_n() -> None:
    rng = np.random.default_rng(0)
    shares = [
        top_overlap(rng.random(50), rng.random(50), seed, resamples=2000).value
        for seed in range(100)
    ]
    # Hypergeometric: 20 of 50 twice; four standard errors of the mean of 100.
    deviation = stats.hypergeom(50, 20, 20).std() / 20
    assert np.mean(shares) == pytest.approx(0.4, abs=4 * deviation / 10)
