"""Outlier detection: the area under the ROC curve with the outlier as the positive class.

Ranks alone decide, with ties at one half, so scores of any scale (log densities in the
thousands of nats) are safe. An AUC below one half is worse than chance.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from .bootstrap import MINIMUM_RESAMPLES, Interval, exact_binomial_bounds

MARGINAL = "marginal"
PER_CLASS_MEAN = "per class mean"

_BLOCK_ELEMENTS = 2_000_000


@dataclass(frozen=True)
class OutlierAUC:
    """An AUC, its interval over images (``n`` counts outliers) and which scores it compares.

    ``variant`` is ``marginal`` (one score an image) or ``per class mean`` (each class's images
    against the outliers under that class, averaged over ``classes`` classes).
    """

    interval: Interval
    variant: str
    inliers: int
    classes: int


def area_under_curve(
    inliers: Float64[np.ndarray, " inliers"], outliers: Float64[np.ndarray, " outliers"]
) -> float:
    """P(score of an outlier > score of an inlier) + ½ P(equal): Mann and Whitney's U / (n m).

    Raises:
        ValueError: an empty group or a nan score.
    """
    _check_scores("inliers", inliers)
    _check_scores("outliers", outliers)
    below, up_to = _positions(inliers, outliers)
    return float(np.mean(below + up_to) / (2 * len(inliers)))


def marginal_auc(
    inliers: Float64[np.ndarray, " inliers"],
    outliers: Float64[np.ndarray, " outliers"],
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = 0.95,
) -> OutlierAUC:
    """AUC of one score an image, with a percentile bootstrap over the images of both groups.

    Where the groups separate completely the bootstrap has no width: the interval is then the
    exact binomial one of the smaller group's size, which is conservative.

    Raises:
        ValueError: an empty group or a nan score.
    """
    value = area_under_curve(inliers, outliers)
    rng = np.random.default_rng(seed)
    replicates = np.concatenate(
        [
            _weighted_auc(inliers, outliers, inlier_weights, outlier_weights)
            for inlier_weights, outlier_weights in _weights(
                rng, [len(inliers)], [len(outliers)], resamples
            )
        ]
    )
    smaller = min(len(inliers), len(outliers))
    low, high = _bounds(value, replicates, smaller, confidence)
    return OutlierAUC(Interval(value, low, high, len(outliers)), MARGINAL, len(inliers), 1)


def per_class_auc(
    inliers: Float64[np.ndarray, " inliers"],
    inlier_class: Int64[np.ndarray, " inliers"],
    outliers: Float64[np.ndarray, "outliers classes"],
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = 0.95,
) -> OutlierAUC:
    """Mean over classes of the AUC of a class's images against the outliers under that class.

    ``inliers`` holds each image's score under its own class; ``outliers[i, c]`` an outlier's
    score under class c, nan where it was not evaluated. Classes without images on both sides
    are left out of the mean, and the result counts those that are in. Images are resampled
    within a class, outliers within those evaluated under the same classes, so that an outlier
    seen under every class moves in all of them at once.

    Raises:
        ValueError: an empty group, a nan score of an inlier, or no class with both sides.
    """
    _check_scores("inliers", inliers)
    if len(outliers) == 0:
        raise ValueError("outliers is empty: an AUC needs images on both sides")
    evaluated = ~np.isnan(outliers)
    classes = [
        c for c in range(outliers.shape[1]) if (inlier_class == c).any() and evaluated[:, c].any()
    ]
    if not classes:
        raise ValueError("no class has both images of its own and outliers evaluated under it")
    in_order = [np.flatnonzero(inlier_class == c) for c in classes]
    _, pattern = np.unique(evaluated, axis=0, return_inverse=True)
    out_order = [np.flatnonzero(pattern == p) for p in np.unique(pattern)]
    out_position = np.empty(len(outliers), dtype=np.int64)
    out_position[np.concatenate(out_order)] = np.arange(len(outliers))

    def mean_auc(inlier_weights: np.ndarray, outlier_weights: np.ndarray) -> np.ndarray:
        total = np.zeros(len(inlier_weights))
        start = 0
        for c, members in zip(classes, in_order, strict=True):
            under = np.flatnonzero(evaluated[:, c])
            total += _weighted_auc(
                inliers[members],
                outliers[under, c],
                inlier_weights[:, start : start + len(members)],
                outlier_weights[:, out_position[under]],
            )
            start += len(members)
        return total / len(classes)

    in_sizes = [len(members) for members in in_order]
    out_sizes = [len(members) for members in out_order]
    value = float(mean_auc(np.ones((1, sum(in_sizes))), np.ones((1, sum(out_sizes))))[0])
    rng = np.random.default_rng(seed)
    blocks = _weights(rng, in_sizes, out_sizes, resamples)
    replicates = np.concatenate([mean_auc(*weights) for weights in blocks])
    low, high = _bounds(value, replicates, min(sum(in_sizes), len(outliers)), confidence)
    return OutlierAUC(
        Interval(value, low, high, len(outliers)), PER_CLASS_MEAN, sum(in_sizes), len(classes)
    )


def _positions(inliers: np.ndarray, outliers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each outlier the number of inliers below it, and of those below or equal."""
    ordered = np.sort(inliers)
    return np.searchsorted(ordered, outliers, "left"), np.searchsorted(ordered, outliers, "right")


def _weighted_auc(
    inliers: np.ndarray,
    outliers: np.ndarray,
    inlier_weights: np.ndarray,
    outlier_weights: np.ndarray,
) -> np.ndarray:
    """AUC of each row of weights [r, n], [r, m]; cumulated weights stand in for sorting again."""
    below, up_to = _positions(inliers, outliers)
    cumulated = np.zeros((len(inlier_weights), len(inliers) + 1))
    np.cumsum(inlier_weights[:, np.argsort(inliers)], axis=1, out=cumulated[:, 1:])
    share = (cumulated[:, below] + cumulated[:, up_to]) / (2 * cumulated[:, -1:])
    weighted: np.ndarray = np.sum(outlier_weights * share, axis=1) / outlier_weights.sum(axis=1)
    return weighted


def _weights(
    rng: np.random.Generator, in_sizes: list[int], out_sizes: list[int], resamples: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """How often each image is drawn, stratum after stratum: blocks of [r, n] and [r, m]."""
    rows = max(1, _BLOCK_ELEMENTS // (sum(in_sizes) + sum(out_sizes)))
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)

        yield (
            np.concatenate([_drawn_counts(rng, count, n) for n in in_sizes], axis=1),
            np.concatenate([_drawn_counts(rng, count, n) for n in out_sizes], axis=1),
        )


def _drawn_counts(rng: np.random.Generator, rows: int, n: int) -> np.ndarray:
    """How often each of n images is drawn in n draws with replacement: [rows, n]."""
    drawn = rng.integers(0, n, size=(rows, n)) + n * np.arange(rows)[:, None]
    return np.bincount(drawn.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _bounds(
    value: float, replicates: np.ndarray, smaller: int, confidence: float
) -> tuple[float, float]:
    if value in (0.0, 1.0):
        return exact_binomial_bounds(round(value) * smaller, smaller, confidence)
    if smaller == 1:
        return np.nan, np.nan
    low, high = np.quantile(replicates, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(low), float(high)


def _check_scores(name: str, scores: np.ndarray) -> None:
    if len(scores) == 0:
        raise ValueError(f"{name} is empty: an AUC needs images on both sides")
    if np.isnan(scores).any():
        bad = int(np.isnan(scores).sum())
        raise ValueError(f"{name} holds {bad} nan scores: leave failed images out first")
