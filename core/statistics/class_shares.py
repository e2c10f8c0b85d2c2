"""Two samples of images, counted by class: do they give every class the same share?

For annotated images the first sample are generated ones and the second held-out real ones, both
labelled by one annotator: against true labels its errors alone would tell the samples apart.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64
from scipy import optimize, stats

from .interval import CONFIDENCE, Interval, check_confidence

# Draws under no difference, which p-values and floors come from.
_DRAWS = 10_000
# Of the family of alternatives in which an interval of the total variation is looked for.
_STEPS = 21
_DRAWS_OF_A_STEP = 1_000
_FURTHEST = 2.0


@dataclass(frozen=True)
class SharesTest:
    """How far two class histograms are apart, and how far chance alone puts them.

    ``total_variation`` is half the sum of the shares' absolute differences, in [0, 1]. Under no
    difference it is ``floor`` on average and reaches ``reach`` in 5% of samples. ``chi_squared`` is
    Pearson's statistic of the two rows of counts, ``p_value`` its p-value.
    """

    total_variation: float
    floor: float
    reach: float
    chi_squared: float
    p_value: float


def compare_shares(
    first: Int64[np.ndarray, " classes"], second: Int64[np.ndarray, " classes"], seed: int
) -> SharesTest:
    """The permutation test of equal class shares, from the counts of both samples.

    Images are dealt to the two samples anew, in samples of the same sizes: given the counts of
    both together that is a multivariate hypergeometric draw. So the p-value is exact for classes of
    any rarity, up to the number of draws; it is never zero.

    Raises:
        ValueError: counts that are negative or of different classes, or a sample without images.
    """
    _check_counts(first, second)
    pooled, n = first + second, int(first.sum())
    drawn = np.random.default_rng(seed).multivariate_hypergeometric(
        pooled, n, size=_DRAWS, method="marginals"
    )
    null = _total_variation(drawn, pooled - drawn)
    observed = float(_total_variation(first, second))
    statistics = _chi_squared(drawn, pooled)
    statistic = float(_chi_squared(first, pooled))
    slack = 1e-9 * max(1.0, statistic)
    return SharesTest(
        total_variation=observed,
        floor=float(null.mean()),
        reach=float(np.quantile(null, CONFIDENCE)),
        chi_squared=statistic,
        p_value=float((1 + np.sum(statistics >= statistic - slack)) / (1 + _DRAWS)),
    )


def total_variation_interval(
    first: Int64[np.ndarray, " classes"],
    second: Int64[np.ndarray, " classes"],
    seed: int,
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Total variation between the shares behind two samples, with its interval.

    The observed distance is too large by about the floor wherever the truth is near it, so that a
    bootstrap around it never reaches down to 0. Instead the interval has the distances of those
    members of a family under which the observed one is not extreme. Its members have the two
    observed histograms drawn together to their common one, at 0, or pushed apart; both samples are
    drawn anew from each. ``value`` is the observed distance, and may lie above ``high``. With 10
    classes and 200 or 1,000 images in both samples it covered, in 100 or 200 simulations each, 97
    to 98% of no difference, 97% of distances of .03, 95% of .14, 93 to 95% of a missing class.

    Raises:
        ValueError: see `compare_shares`.
    """
    check_confidence(confidence)
    _check_counts(first, second)
    rng = np.random.default_rng(seed)
    sizes = int(first.sum()), int(second.sum())
    shares = first / sizes[0], second / sizes[1]
    common = (first + second) / sum(sizes)
    observed = float(_total_variation(first, second))
    truths, lows, highs = [], [], []
    for step in np.linspace(0.0, _FURTHEST, _STEPS):
        moved = [_on_simplex(common + step * (share - common)) for share in shares]
        drawn = [
            rng.multinomial(size, share, _DRAWS_OF_A_STEP)
            for size, share in zip(sizes, moved, strict=True)
        ]
        found = _total_variation(*drawn)
        truths.append(0.5 * float(np.abs(moved[0] - moved[1]).sum()))
        tail = (1 - confidence) / 2
        lows.append(float(np.quantile(found, tail)))
        highs.append(float(np.quantile(found, 1 - tail)))
    # Quantiles grow with the step, up to the noise of their simulation.
    rising_lows, rising_highs = np.maximum.accumulate(lows), np.maximum.accumulate(highs)
    low = _where_reached(rising_highs, truths, observed)
    high = _where_reached(rising_lows, truths, observed)
    return Interval(observed, low, high, sizes[0])


def effective_classes(
    counts: Int64[np.ndarray, " classes"], *, confidence: float = CONFIDENCE
) -> Interval:
    """exp(H) of the class shares: how many equally likely classes would be as diverse.

    The plug-in entropy is low by (classes - 1) / 2n in expectation (Miller 1955), which is added,
    with the classes that occur. Its variance is that of -ln p over images, over n, plus
    (classes - 1) / 2n^2, which is all that is left where shares are equal. No more than the
    number of classes in ``counts``, no less than 1. Of 50, 200, 1,000 and 5,000 images it covered
    99 to 100% of ten equal classes, 98/97/95/97% of shares from .05 to .15, 88/95/95/95% of one
    class of .7 beside nine, and 95/90/94/95% of two classes of .6 and .4.

    Raises:
        ValueError: no images, or a negative count.
    """
    check_confidence(confidence)
    _check_counts(counts)
    n = int(counts.sum())
    shares = counts[counts > 0] / n
    surprise = -np.log(shares)
    entropy = float(shares @ surprise)
    spare = len(shares) - 1
    variance = float(shares @ (surprise - entropy) ** 2) / n + spare / (2 * n**2)
    middle = entropy + spare / (2 * n)
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * np.sqrt(variance)
    low, value, high = (
        float(np.exp(np.clip(each, 0.0, np.log(len(counts)))))
        for each in (middle - reach, middle, middle + reach)
    )
    return Interval(value, low, high, n)


def share_ratio(
    first: int, first_total: int, second: int, second_total: int, *, confidence: float = CONFIDENCE
) -> Interval:
    """A class's share in the first sample over that in the second, by Koopman's interval (1984).

    The bounds are the ratios at which the score test of independent proportions has a p-value of
    1 - ``confidence``. Of a class that the second sample lacks the ratio is infinite, and nan where
    the first lacks it too; a bound is infinite where no ratio is too large.

    Raises:
        ValueError: no images, or counts that do not fit.
    """
    check_confidence(confidence)
    for count, total in ((first, first_total), (second, second_total)):
        if not 0 <= count <= total or total < 1:
            raise ValueError(f"{count} of {total} images: expected counts of images")
    if first == 0 and second == 0:
        return Interval(np.nan, 0.0, np.inf, first_total)
    critical = float(stats.chi2.ppf(confidence, 1))

    def excess(log_ratio: float) -> float:
        ratio = float(np.exp(log_ratio))
        return _score(first, first_total, second, second_total, ratio) - critical

    value = np.inf if second == 0 else (first / first_total) / (second / second_total)
    # The score is 0 at the observed ratio, or beyond all ratios where a count is 0.
    middle = float(np.log(value)) if 0 < value < np.inf else 0.0
    span = 40.0
    if value == 0:
        low, middle = 0.0, -span
    if value == np.inf:
        high, middle = np.inf, span
    if value > 0:
        low = float(np.exp(optimize.brentq(excess, -span, middle)))
    if value < np.inf:
        high = float(np.exp(optimize.brentq(excess, middle, span)))
    return Interval(value, low, high, first_total)


def _score(x: int, m: int, y: int, n: int, ratio: float) -> float:
    """Koopman's chi-squared that p_x = ratio * p_y, at the likeliest such p_x."""
    total = m + n
    half = ratio * (m + y) + x + n
    root = np.sqrt(max(half**2 - 4 * ratio * total * (x + y), 0.0))
    # As a quotient: the difference half - root cancels at large and at small ratios.
    p = min(2 * ratio * (x + y) / (half + root), 1.0, ratio)
    return _pearson(x, m, p) + _pearson(y, n, p / ratio)


def _pearson(count: int, total: int, share: float) -> float:
    """(count - expected)^2 / variance of a binomial count."""
    distance = count - total * share
    variance = total * share * (1 - share)
    if variance <= 0:
        return 0.0 if distance == 0 else np.inf
    return float(distance**2 / variance)


def _total_variation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Of counts [..., classes]."""
    shares = first / first.sum(axis=-1, keepdims=True), second / second.sum(axis=-1, keepdims=True)
    return np.asarray(0.5 * np.abs(shares[0] - shares[1]).sum(axis=-1))


def _chi_squared(first: np.ndarray, pooled: np.ndarray) -> np.ndarray:
    """Pearson's statistic of first [..., classes] against the rest of ``pooled``."""
    there = pooled > 0
    counts, total = first[..., there], pooled[there]
    share = counts.sum(axis=-1, keepdims=True) / total.sum()
    expected = share * total
    return np.asarray(((counts - expected) ** 2 / (expected * (1 - share))).sum(axis=-1))


def _on_simplex(shares: np.ndarray) -> np.ndarray:
    kept = np.clip(shares, 0.0, None)
    return np.asarray(kept / kept.sum())


def _where_reached(rising: np.ndarray, truths: list[float], level: float) -> float:
    """The truth at which a rising quantile reaches ``level``, between the steps by a line."""
    if level <= rising[0]:
        return truths[0]
    if level >= rising[-1]:
        return truths[-1]
    after = int(np.searchsorted(rising, level, side="left"))
    before = after - 1
    part = (level - rising[before]) / (rising[after] - rising[before])
    return float(truths[before] + part * (truths[after] - truths[before]))


def _check_counts(*samples: np.ndarray) -> None:
    for counts in samples:
        if len(counts) != len(samples[0]):
            raise ValueError(f"{len(counts)} and {len(samples[0])} classes: expected the same")
        if (counts < 0).any() or counts.sum() == 0:
            raise ValueError(f"counts {counts.tolist()}: expected those of at least one image")
