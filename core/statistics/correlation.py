"""Correlations between two scores of the same images, with bootstrap intervals over images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float64
from scipy import stats

from .bootstrap import MINIMUM_RESAMPLES, Interval, resampled_indices

Kind = Literal["pearson", "spearman"]
KINDS: tuple[Kind, ...] = ("pearson", "spearman")

# Fewer images than this give no correlation worth an interval.
MINIMUM_IMAGES = 10


def pearson(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Pearson correlation over the last axis; nan where either side does not vary."""
    centred = [_centred(values) for values in (first, second)]
    squares = [np.sum(values**2, axis=-1) for values in centred]
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.sum(centred[0] * centred[1], axis=-1) / np.sqrt(squares[0] * squares[1])
    return np.asarray(np.clip(ratio, -1, 1))


def spearman(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Spearman correlation over the last axis: Pearson's of the ranks, ties at their mean rank."""
    return pearson(stats.rankdata(first, axis=-1), stats.rankdata(second, axis=-1))


_COEFFICIENTS: dict[Kind, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "pearson": pearson,
    "spearman": spearman,
}


def correlation_interval(
    first: Float64[np.ndarray, " images"],
    second: Float64[np.ndarray, " images"],
    kind: Kind,
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = 0.95,
) -> Interval | None:
    """Correlation of two scores with a percentile bootstrap over the images that have both.

    None with fewer than 10 such images, or where one of the scores does not vary.
    """
    columns = first[:, None], second[:, None]
    result = class_correlations(*columns, kind, seed, resamples=resamples, confidence=confidence)
    return None if result is None else result.mean


@dataclass(frozen=True)
class ClassCorrelations:
    """Correlations by class, and their mean over the classes that have one."""

    by_class: dict[int, Interval]
    mean: Interval


def class_correlations(
    first: Float64[np.ndarray, "images classes"],
    second: Float64[np.ndarray, "images classes"],
    kind: Kind,
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = 0.95,
) -> ClassCorrelations | None:
    """Correlation under each class of all images that have both scores under it, and the mean.

    Scores are nan where an image was not evaluated. Classes with fewer than 10 images, or without
    variation, are left out; None where that leaves none. Images are resampled within those
    evaluated under the same classes, so that an image seen under every class moves in all of them
    at once and every class keeps its size. ``n`` of the mean counts images in any class of it.
    """
    evaluated = ~(np.isnan(first) | np.isnan(second))
    members = {
        c: np.flatnonzero(evaluated[:, c])
        for c in range(first.shape[1])
        if evaluated[:, c].sum() >= MINIMUM_IMAGES
    }
    coefficient = _COEFFICIENTS[kind]
    values = {c: float(coefficient(first[m, c], second[m, c])) for c, m in members.items()}
    classes = [c for c, value in values.items() if not np.isnan(value)]
    if not classes:
        return None
    _, pattern = np.unique(evaluated, axis=0, return_inverse=True)
    blocks = [
        np.stack(
            [coefficient(first[b[:, members[c]], c], second[b[:, members[c]], c]) for c in classes]
        )
        for b in resampled_indices(
            np.random.default_rng(seed), len(first), resamples, strata=pattern.ravel()
        )
    ]
    replicates = np.concatenate(blocks, axis=1)
    by_class = {
        c: _interval(values[c], replicates[row], len(members[c]), confidence)
        for row, c in enumerate(classes)
    }
    used = int(evaluated[:, classes].any(axis=1).sum())
    centre = float(np.mean([values[c] for c in classes]))
    return ClassCorrelations(by_class, _interval(centre, replicates.mean(axis=0), used, confidence))


@dataclass(frozen=True)
class PairCorrelations:
    """Correlations of every two columns [classes, classes], and their mean over pairs."""

    matrix: Float64[np.ndarray, "classes classes"]
    mean: Interval


def pair_correlations(
    scores: Float64[np.ndarray, "images classes"],
    kind: Kind,
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = 0.95,
) -> PairCorrelations:
    """Correlation of each class's scores with each other class's, over the same images.

    The interval of the mean over pairs is a percentile bootstrap over images.

    Raises:
        ValueError: fewer than 10 images or 2 classes, or a score that is nan.
    """
    n, classes = scores.shape
    if n < MINIMUM_IMAGES or classes < 2 or np.isnan(scores).any():
        raise ValueError(
            f"{n} images under {classes} classes: correlations of classes need "
            f"{MINIMUM_IMAGES} images under 2 classes, none of them nan"
        )
    upper = np.triu_indices(classes, 1)
    matrix = _correlation_matrices(scores[None], kind)[0]
    replicates = np.concatenate(
        [
            _correlation_matrices(scores[block], kind)[:, upper[0], upper[1]].mean(axis=1)
            for block in resampled_indices(
                np.random.default_rng(seed), n, resamples, width=n * classes
            )
        ]
    )
    mean = _interval(float(matrix[upper].mean()), replicates, n, confidence)
    return PairCorrelations(matrix, mean)


def _correlation_matrices(samples: np.ndarray, kind: Kind) -> np.ndarray:
    """Correlation of the columns of each [images, classes] sample: [samples, classes, classes]."""
    columns = np.swapaxes(samples, 1, 2)
    ranked = stats.rankdata(columns, axis=-1) if kind == "spearman" else columns
    centred = _centred(ranked)
    with np.errstate(divide="ignore", invalid="ignore"):
        unit = centred / np.sqrt(np.sum(centred**2, axis=-1, keepdims=True))
    matrices: np.ndarray = np.clip(unit @ np.swapaxes(unit, 1, 2), -1, 1)
    return matrices


def _centred(values: np.ndarray) -> np.ndarray:
    centred: np.ndarray = values - values.mean(axis=-1, keepdims=True)
    # Equal values have a mean that rounding puts beside them: they do not vary.
    constant = np.ptp(values, axis=-1, keepdims=True) == 0
    return np.where(constant, 0.0, centred)


def _interval(value: float, replicates: np.ndarray, n: int, confidence: float) -> Interval:
    # A resample of equal values alone has no correlation.
    defined = replicates[~np.isnan(replicates)]
    if np.isnan(value) or not len(defined):
        return Interval(value, np.nan, np.nan, n)
    low, high = np.quantile(defined, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(value, float(low), float(high), n)
