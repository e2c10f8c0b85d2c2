"""Outlier detection: the area under the ROC curve with the outlier as the positive class.

Ranks alone decide, with ties at one half, so scores of any scale (log densities in the
thousands of nats) are safe. An AUC below one half is worse than chance.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from .auc_bounds import Influences, auc_bounds
from .interval import CONFIDENCE, Interval, check_confidence


@dataclass(frozen=True)
class OutlierAUC:
    """An AUC with its interval, whose ``n`` counts outliers, and the images that it rests on.

    ``classes`` is how many were averaged, 1 for one score an image; ``pairs`` is the number of
    pairs of an inlier and an outlier that were compared.
    """

    interval: Interval
    inliers: int
    classes: int
    pairs: int


def area_under_curve(
    inliers: Float64[np.ndarray, " inliers"], outliers: Float64[np.ndarray, " outliers"]
) -> float:
    """P(score of an outlier > score of an inlier) + ½ P(equal): Mann and Whitney's U / (n m).

    Raises:
        ValueError: an empty group or a nan score.
    """
    _check_scores("inliers", inliers)
    _check_scores("outliers", outliers)
    return float(np.mean(_shares_below(inliers, outliers)))


def marginal_auc(
    inliers: Float64[np.ndarray, " inliers"],
    outliers: Float64[np.ndarray, " outliers"],
    *,
    failed_inliers: int = 0,
    failed_outliers: int = 0,
    confidence: float = CONFIDENCE,
) -> OutlierAUC:
    """AUC of one score an image, with the interval of :func:`.auc_bounds.auc_bounds`.

    Failed images have no score: the interval then runs from the lower bound with all failed
    outliers at the lowest score and all failed inliers at the highest, to the upper bound with
    them the other way round.

    Raises:
        ValueError: an empty group or a nan score.
    """
    _check_scores("inliers", inliers)
    _check_scores("outliers", outliers)
    return per_class_auc(
        inliers,
        np.zeros(len(inliers), dtype=np.int64),
        outliers[:, None],
        failed_inlier_class=np.zeros(failed_inliers, dtype=np.int64),
        failed_outliers=np.ones((failed_outliers, 1), dtype=np.bool_),
        confidence=confidence,
    )


def per_class_auc(
    inliers: Float64[np.ndarray, " inliers"],
    inlier_class: Int64[np.ndarray, " inliers"],
    outliers: Float64[np.ndarray, "outliers classes"],
    *,
    failed_inlier_class: Int64[np.ndarray, " failed_inliers"] | None = None,
    failed_outliers: Bool[np.ndarray, "failed_outliers classes"] | None = None,
    confidence: float = CONFIDENCE,
) -> OutlierAUC:
    """Mean over classes of the AUC of a class's images against the outliers under that class.

    ``inliers`` holds each image's score under its own class; ``outliers[i, c]`` an outlier's
    score under class c, nan where it has none. Classes without images on both sides are left out
    of the mean, and the result counts those that are in; ``n`` counts the outliers under a class
    that is in.

    ``failed_inlier_class`` is the class of each inlier without a score. A row of
    ``failed_outliers`` says under which classes an outlier failed; it may be one that has a score
    under others. They widen the interval as in :func:`marginal_auc`.

    Raises:
        ValueError: an empty group, a nan score of an inlier, or no class with both sides.
    """
    check_confidence(confidence)
    _check_scores("inliers", inliers)
    if len(outliers) == 0:
        raise ValueError("outliers is empty: an AUC needs images on both sides")
    observed = _influences(inliers, inlier_class, outliers)
    lower = higher = observed.influences
    if failed_inlier_class is not None or failed_outliers is not None:
        classes = np.zeros(0, np.int64) if failed_inlier_class is None else failed_inlier_class
        failed = (
            np.zeros((0, outliers.shape[1]), bool) if failed_outliers is None else failed_outliers
        )
        ends = [
            _influences(
                np.concatenate([inliers, np.full(len(classes), -at)]),
                np.concatenate([inlier_class, classes]),
                np.concatenate([outliers, np.where(failed, at, np.nan)]),
            ).influences
            for at in (-np.inf, np.inf)
        ]
        lower, higher = ends
    # The sum of many shares rounds beyond 1.
    value = min(max(observed.influences.value, 0.0), 1.0)
    low, high = auc_bounds(lower, confidence)[0], auc_bounds(higher, confidence)[1]
    interval = Interval(value, low, high, observed.outliers)
    return OutlierAUC(interval, observed.inliers, observed.classes, observed.pairs)


@dataclass(frozen=True)
class _Observed:
    """Every image's influence on the mean over classes, and what it rests on."""

    influences: Influences
    inliers: int
    outliers: int
    classes: int
    pairs: int


def _influences(inliers: np.ndarray, inlier_class: np.ndarray, outliers: np.ndarray) -> _Observed:
    """DeLong's structural components, summed over the classes that an image is in."""
    evaluated = ~np.isnan(outliers)
    present = np.isin(np.arange(outliers.shape[1]), inlier_class)
    classes = np.flatnonzero(present & evaluated.any(axis=0))
    if not len(classes):
        raise ValueError("no class has both images of its own and outliers evaluated under it")
    share_in, weight_in = np.zeros(len(inliers)), np.zeros(len(inliers))
    share_out, weight_out = np.zeros(len(outliers)), np.zeros(len(outliers))
    pairs = 0
    for c in classes:
        own, under = np.flatnonzero(inlier_class == c), np.flatnonzero(evaluated[:, c])
        scores = outliers[under, c]
        # The share of the outliers above an inlier is that of them below it, turned round.
        share_in[own] = (1 - _shares_below(scores, inliers[own])) / (len(own) * len(classes))
        weight_in[own] = 1 / (len(own) * len(classes))
        share_out[under] += _shares_below(inliers[own], scores) / (len(under) * len(classes))
        weight_out[under] += 1 / (len(under) * len(classes))
        pairs += len(own) * len(under)
    used_in, used_out = weight_in > 0, weight_out > 0
    _, pattern = np.unique(evaluated[used_out][:, classes], axis=0, return_inverse=True)
    return _Observed(
        Influences(
            value=float(share_in.sum()),
            shares=(share_in[used_in], share_out[used_out]),
            weights=(weight_in[used_in], weight_out[used_out]),
            strata=(inlier_class[used_in], pattern.ravel()),
        ),
        inliers=int(used_in.sum()),
        outliers=int(used_out.sum()),
        classes=len(classes),
        pairs=pairs,
    )


def _shares_below(scores: np.ndarray, of: np.ndarray) -> np.ndarray:
    """For each value of ``of`` the share of ``scores`` below it, equal ones at one half."""
    ordered = np.sort(scores)
    below, up_to = (np.searchsorted(ordered, of, side) for side in ("left", "right"))
    shares: np.ndarray = (below + up_to) / (2 * len(scores))
    return shares


def _check_scores(name: str, scores: np.ndarray) -> None:
    if len(scores) == 0:
        raise ValueError(f"{name} is empty: an AUC needs images on both sides")
    if np.isnan(scores).any():
        bad = int(np.isnan(scores).sum())
        raise ValueError(f"{name} holds {bad} nan scores: leave failed images out first")
