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


def test_of_many_images_the_interval_is_delongs() -> None:
    rng = np.random.default_rng(0)
    inliers, outliers = rng.normal(size=3000), rng.normal(1.0, 2.0, size=2000)
    found = marginal_auc(inliers, outliers)
    above = (outliers[None, :] > inliers[:, None]).astype(float)
    variance = above.mean(1).var(ddof=1) / 3000 + above.mean(0).var(ddof=1) / 2000
    half = stats.norm.ppf(0.975) * np.sqrt(variance)
    # Jeffreys' interval of a binomial is skewed by a width over the number of images.
    assert found.interval.low == pytest.approx(found.interval.value - half, abs=half / 20)
    assert found.interval.high == pytest.approx(found.interval.value + half, abs=half / 20)
    assert (found.inliers, found.classes, found.pairs) == (3000, 1, 6_000_000)
    assert found.interval.n == 2000


def test_turning_the_scores_round_turns_the_interval_round() -> None:
    rng = np.random.default_rng(1)
    inliers, outliers = rng.normal(size=50), rng.normal(1.0, size=30)
    found, turned = marginal_auc(inliers, outliers).interval, marginal_auc(-inliers, -outliers)
    expected = [1 - found.value, 1 - found.high, 1 - found.low]
    ours = turned.interval
    assert [ours.value, ours.low, ours.high] == pytest.approx(expected)


@pytest.mark.parametrize("direction", [1, -1])
def test_complete_separation_gets_the_exact_bound_of_the_smaller_group(direction: int) -> None:
    found = marginal_auc(np.arange(40.0), direction * (100 + np.arange(64.0))).interval
    far, near = (found.low, found.high) if direction > 0 else (1 - found.high, 1 - found.low)
    assert near == 1.0
    assert far == pytest.approx(0.025 ** (1 / 40))


@given(
    inliers=st.lists(st.integers(-3, 3), min_size=2, max_size=30),
    outliers=st.lists(st.integers(-3, 3), min_size=2, max_size=30),
)
@settings(max_examples=100, deadline=None)
def test_no_interval_is_without_a_width(inliers: list[int], outliers: list[int]) -> None:
    found = marginal_auc(np.array(inliers, dtype=float), np.array(outliers, dtype=float)).interval
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.high - found.low > 0.02


def test_a_single_image_has_an_auc_without_an_interval() -> None:
    found = marginal_auc(np.array([0.5]), np.arange(20.0)).interval
    assert found.value == 0.95
    assert np.isnan([found.low, found.high]).all()


def test_failed_images_lie_at_either_end() -> None:
    rng = np.random.default_rng(5)
    inliers, outliers = rng.normal(size=40), rng.normal(1.0, size=30)
    plain = marginal_auc(inliers, outliers)
    found = marginal_auc(inliers, outliers, failed_inliers=2, failed_outliers=3)
    top, bottom = 1e9, -1e9
    worst = marginal_auc(
        np.concatenate([inliers, np.full(2, top)]), np.concatenate([outliers, np.full(3, bottom)])
    )
    best = marginal_auc(
        np.concatenate([inliers, np.full(2, bottom)]), np.concatenate([outliers, np.full(3, top)])
    )
    assert (found.interval.low, found.interval.high) == (worst.interval.low, best.interval.high)
    assert found.interval.low < plain.interval.low < plain.interval.high < found.interval.high
    assert (found.interval.value, found.interval.n) == (plain.interval.value, 30)
    assert (found.inliers, found.pairs) == (40, 1200)


def test_per_class_mean_is_the_average_of_the_classes() -> None:
    rng = np.random.default_rng(2)
    label = np.repeat(np.arange(3), [10, 20, 15])
    inliers = rng.normal(label, 1.0)
    outliers = rng.normal(0.5, 1.0, size=(25, 3))
    result = per_class_auc(inliers, label, outliers)
    expected = [sklearn_auc(inliers[label == c], outliers[:, c]) for c in range(3)]
    assert result.interval.value == pytest.approx(np.mean(expected), abs=1e-12)
    assert (result.classes, result.inliers, result.pairs) == (3, 45, 45 * 25)
    assert result.interval.low < result.interval.value < result.interval.high


def test_per_class_mean_of_outliers_seen_under_one_class_each() -> None:
    rng = np.random.default_rng(3)
    label = np.arange(40) % 4
    inliers = rng.normal(size=40)
    assigned = np.arange(30) % 3  # class 3 meets no outlier and is left out
    outliers = np.full((30, 4), np.nan)
    outliers[np.arange(30), assigned] = rng.normal(size=30)
    result = per_class_auc(inliers, label, outliers)
    expected = [sklearn_auc(inliers[label == c], outliers[assigned == c, c]) for c in range(3)]
    assert (result.classes, result.inliers, result.pairs) == (3, 30, 3 * 10 * 10)
    assert result.interval.value == pytest.approx(np.mean(expected), abs=1e-12)


def test_one_class_is_the_auc_of_one_score_an_image() -> None:
    rng = np.random.default_rng(4)
    inliers, outliers = rng.normal(size=30), rng.normal(1.0, size=20)
    found = per_class_auc(inliers, np.full(30, 2), np.stack([outliers] * 4, axis=1))
    assert found == marginal_auc(inliers, outliers)


def test_outliers_under_a_class_without_inliers_do_not_count() -> None:
    rng = np.random.default_rng(6)
    outliers = np.full((24, 3), np.nan)
    outliers[np.arange(24), np.arange(24) % 3] = rng.normal(size=24)
    found = per_class_auc(rng.normal(size=20), np.arange(20) % 2, outliers)
    assert (found.interval.n, found.classes, found.pairs) == (16, 2, 2 * 10 * 8)


def test_one_image_a_class_keeps_a_width() -> None:
    """Every class's AUC is 0 or 1 and none varies within its class: classes vary among them."""
    rng = np.random.default_rng(7)
    outliers = np.full((20, 20), np.nan)
    outliers[np.arange(20), np.arange(20)] = rng.normal(1.0, size=20)
    found = per_class_auc(rng.normal(size=20), np.arange(20), outliers)
    share = stats.binomtest(round(20 * found.interval.value), 20).proportion_ci(method="wilson")
    assert 0 < found.interval.value < 1
    assert found.interval.low < share.low < share.high < found.interval.high
    apart = per_class_auc(np.zeros(20), np.arange(20), np.where(np.isnan(outliers), np.nan, 1.0))
    assert (apart.interval.low, apart.interval.high) == pytest.approx((0.025 ** (1 / 20), 1))


def test_failed_images_of_classes_lie_at_either_end() -> None:
    rng = np.random.default_rng(8)
    label, inliers = np.arange(40) % 2, rng.normal(size=40)
    outliers = rng.normal(1.0, size=(30, 2))
    failed = np.array([[True, False]])
    found = per_class_auc(
        inliers,
        label,
        outliers,
        failed_inlier_class=np.array([1]),
        failed_outliers=failed,
    ).interval
    ends = [
        per_class_auc(
            np.append(inliers, -at),
            np.append(label, 1),
            np.concatenate([outliers, np.where(failed, at, np.nan)]),
        ).interval
        for at in (-1e9, 1e9)
    ]
    assert (found.low, found.high) == (ends[0].low, ends[1].high)
    assert found.value == per_class_auc(inliers, label, outliers).interval.value


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="outliers is empty"):
        area_under_curve(np.ones(2), np.array([]))
    with pytest.raises(ValueError, match="inliers holds 1 nan"):
        marginal_auc(np.array([1.0, np.nan]), np.ones(2))
    with pytest.raises(ValueError, match="no class"):
        per_class_auc(np.ones(2), np.array([0, 0]), np.array([[np.nan, 1.0]]))
