"""Correlations and overlaps against scipy, closed forms and each other."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from offmanifold.core.statistics.correlation import (
    Kind,
    class_correlations,
    correlation_interval,
    pair_correlations,
    pearson,
    spearman,
)
from offmanifold.core.statistics.interval import Interval
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
    assert interval(first, second, kind).value == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_interval_is_the_jackknifes_on_fishers_scale(kind: Kind) -> None:
    first, second = scores(40, 0.7)
    first, second = np.round(first, -2), np.round(second, -1)  # ties
    found = interval(first, second, kind)
    correlate = pearson if kind == "pearson" else spearman
    without = np.arctanh([correlate(np.delete(first, i), np.delete(second, i)) for i in range(40)])
    error = np.sqrt(39 * without.var())
    kurtosis = stats.kurtosis(without, fisher=False)
    freedom = min(39, 80 / (kurtosis - 1)) if kind == "pearson" else 39
    half = stats.t.ppf(0.975, freedom) * error
    assert np.arctanh([found.low, found.high]) == pytest.approx(
        [np.arctanh(found.value) - half, np.arctanh(found.value) + half]
    )
    assert found.n == 40


def test_of_many_normal_pairs_the_interval_is_fishers() -> None:
    found = interval(*scores(5000, 0.8), "pearson")
    theirs = stats.pearsonr(*scores(5000, 0.8)).confidence_interval()
    # The jackknife's standard error has one of its own, of 1 / sqrt(2 n) of it for normal pairs.
    error = 4 * (theirs.high - theirs.low) / 2 / np.sqrt(5000)
    assert [found.low, found.high] == pytest.approx([theirs.low, theirs.high], abs=error)


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_a_perfect_correlation_has_no_interval(kind: Kind) -> None:
    first, _ = scores(30, 0.5)
    found = interval(first, -2 * first, kind)
    assert found.value == pytest.approx(-1)
    assert np.isnan([found.low, found.high]).all()


def test_what_does_not_vary_has_no_correlation() -> None:
    first, _ = scores(30, 0.5)
    assert np.isnan(pearson(first, np.full(30, 0.1)))
    assert correlation_interval(first, np.full(30, 0.1), "pearson") is None
    assert correlation_interval(first[:9], first[:9], "spearman") is None
    # An image without one of the scores is left out.
    first[3] = np.nan
    found = correlation_interval(first, np.arange(30.0), "pearson")
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
    found = class_correlations(first, second, kind)
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
    found = class_correlations(np.stack([a] * 3, 1), np.stack([b] * 3, 1), "pearson")
    assert found is not None
    alone = interval(a, b, "pearson")
    assert (found.mean.low, found.mean.high) == pytest.approx((alone.low, alone.high))
    assert found.mean.n == 60


def test_no_class_with_enough_images_gives_none() -> None:
    assert class_correlations(*by_own_class([9, 9], 0.8), "pearson") is None


@pytest.mark.parametrize("kind", ["pearson", "spearman"])
def test_pairs_of_classes_agree_with_scipy(kind: Kind) -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((40, 1)) + 0.5 * rng.standard_normal((40, 4))
    found = pair_correlations(table, kind)
    theirs: Any = (
        np.corrcoef(table.T) if kind == "pearson" else np.array(stats.spearmanr(table).statistic)
    )
    np.testing.assert_allclose(found.matrix, theirs, atol=1e-12)
    mean = theirs[np.triu_indices(4, 1)].mean()
    assert found.mean.value == pytest.approx(mean)
    assert found.mean.low < mean < found.mean.high
    with pytest.raises(ValueError, match="1 classes"):
        pair_correlations(table[:, :1], kind)


def test_two_classes_are_one_correlation() -> None:
    pair = scores(40, 0.6)
    found = pair_correlations(np.stack(pair, 1), "pearson")
    alone = interval(*pair, "pearson")
    assert found.mean.value == pytest.approx(alone.value)
    assert (found.mean.low, found.mean.high) == pytest.approx((alone.low, alone.high))


def test_overlap_of_the_highest() -> None:
    first = np.arange(100.0)
    assert top_size(100) == 20
    assert top_size(39) == 19
    assert top_overlap(first, 7 * first - 3) == 1
    assert top_overlap(first, -first) == 0
    half = first.copy()
    half[80:90] -= 90  # ten of the twenty highest go to the bottom
    assert top_overlap(first, half) == 0.5
    with pytest.raises(ValueError, match="1 images"):
        top_overlap(first[:1], first[:1])


def test_equal_scores_go_to_the_first() -> None:
    np.testing.assert_array_equal(top_indices(np.array([1.0, 3, 3, 2, 3]), 2), [1, 2])


def test_unrelated_rankings_share_size_over_n() -> None:
    rng = np.random.default_rng(0)
    shares = [top_overlap(rng.random(50), rng.random(50)) for _ in range(100)]
    # Hypergeometric: 20 of 50 twice; four standard errors of the mean of 100.
    deviation = stats.hypergeom(50, 20, 20).std() / 20
    assert np.mean(shares) == pytest.approx(0.4, abs=4 * deviation / 10)
