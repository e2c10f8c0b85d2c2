import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from offmanifold.core.statistics.outliers import area_under_curve, marginal_auc, per_class_auc
from scipy import stats
from sklearn.metrics import roc_auc_score


def sklearn_auc(inliers: np.ndarray, outliers: np.ndarray) -> float:
    truth = np.repeat([0, 1], [len(inliers), len(outliers)])
    return float(roc_auc_score(truth, np.concatenate([inliers, outliers])))


@given(
    inliers=st.lists(st.integers(-3, 3), min_size=1, max_size=30),
    outliers=st.lists(st.integers(-3, 3), min_size=1, max_size=30),
)
@settings(max_examples=100, deadline=None)
def test_auc_equals_scikit_learn_with_ties(inliers: list[int], outliers: list[int]) -> None:
    first, second = np.array(inliers, dtype=float), np.array(outliers, dtype=float)
    assert area_under_curve(first, second) == pytest.approx(sklearn_auc(first, second), abs=1e-12)


def test_ranks_survive_scores_of_thousands_of_nats() -> None:
    inliers = -3000.0 + np.arange(20)
    outliers = inliers + 0.5
    pairs = np.mean(outliers[None, :] > inliers[:, None])
    assert area_under_curve(inliers, outliers) == pairs


def test_outlier_is_the_positive_class() -> None:
    assert area_under_curve(np.array([0.0, 1.0]), np.array([2.0])) == 1.0
    assert area_under_curve(np.array([0.0, 1.0]), np.array([-2.0])) == 0.0


def test_interval_covers_the_true_auc() -> None:
    rng = np.random.default_rng(0)
    truth = stats.norm.cdf(1 / np.sqrt(2))
    repeats = 400
    hits = 0
    for repeat in range(repeats):
        result = marginal_auc(rng.normal(size=64), rng.normal(1.0, size=64), seed=repeat)
        hits += result.interval.low <= truth <= result.interval.high
    # Between 93 and 96% expected at this size; four standard errors of 400 repeats are 4.4%.
    assert 0.945 - 0.046 <= hits / repeats <= 0.945 + 0.046


def test_complete_separation_keeps_a_width() -> None:
    result = marginal_auc(np.arange(40.0), 100 + np.arange(64.0), seed=0)
    assert result.interval.value == result.interval.high == 1.0
    assert result.interval.low == pytest.approx(0.025 ** (1 / 40))


def test_per_class_mean_is_the_average_of_the_classes() -> None:
    rng = np.random.default_rng(2)
    label = np.repeat(np.arange(3), [10, 20, 15])
    inliers = rng.normal(label, 1.0)
    outliers = rng.normal(0.5, 1.0, size=(25, 3))
    result = per_class_auc(inliers, label, outliers, seed=0)
    expected = [sklearn_auc(inliers[label == c], outliers[:, c]) for c in range(3)]
    assert result.interval.value == pytest.approx(np.mean(expected), abs=1e-12)
    assert result.variant == "per class mean"
    assert result.classes == 3
    assert result.interval.low < result.interval.value < result.interval.high


def test_per_class_mean_of_outliers_seen_under_one_class_each() -> None:
    rng = np.random.default_rng(3)
    label = np.arange(40) % 4
    inliers = rng.normal(size=40)
    assigned = np.arange(30) % 3  # class 3 meets no outlier and is left out
    outliers = np.full((30, 4), np.nan)
    outliers[np.arange(30), assigned] = rng.normal(size=30)
    result = per_class_auc(inliers, label, outliers, seed=0)
    expected = [sklearn_auc(inliers[label == c], outliers[assigned == c, c]) for c in range(3)]
    assert result.classes == 3
    assert result.inliers == 30
    assert result.interval.value == pytest.approx(np.mean(expected), abs=1e-12)


def test_per_class_interval_covers() -> None:
    rng = np.random.default_rng(4)
    truth = stats.norm.cdf(1 / np.sqrt(2))
    label = np.arange(60) % 3
    repeats = 300
    hits = 0
    for repeat in range(repeats):
        level = rng.normal(size=(50, 1)) * np.sqrt(0.5)
        outliers = 1.0 + level + rng.normal(size=(50, 3)) * np.sqrt(0.5)
        result = per_class_auc(rng.normal(size=60), label, outliers, seed=repeat)
        hits += result.interval.low <= truth <= result.interval.high
    # Twenty images a class narrow the interval by 1 - sqrt(19/20); 5.3% are four standard errors.
    assert 0.94 - 0.053 <= hits / repeats <= 0.94 + 0.053


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="outliers is empty"):
        area_under_curve(np.ones(2), np.array([]))
    with pytest.raises(ValueError, match="inliers holds 1 nan"):
        marginal_auc(np.array([1.0, np.nan]), np.ones(2), seed=0)
    with pytest.raises(ValueError, match="no class"):
        per_class_auc(np.ones(2), np.array([0, 0]), np.array([[np.nan, 1.0]]), seed=0)
