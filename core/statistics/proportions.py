"""Proportions of images, and differences of two proportions on the same images."""

import numpy as np
from scipy import optimize, special, stats

from .interval import CONFIDENCE, Interval, check_confidence


def proportion_interval(
    successes: int, n: int, *, failed: int = 0, confidence: float = CONFIDENCE
) -> Interval:
    """Share of ``n`` images with its mid-p interval (Lancaster 1961; Berry and Armitage 1995).

    The bounds are the shares under which a count as extreme as ``successes``, half of the chance
    of the count itself left out, has a chance of (1 - confidence) / 2. Counts are whole, so that no
    interval covers exactly 95%: this one 92 to 99% from 16 images on, where Clopper and Pearson's
    exact one covers 95.5 to 99.6%, and is wider for it.

    ``failed`` images, beside the ``n``, have no outcome: the interval then runs from the lower
    bound with all of them as failures to the upper bound with all of them as successes.

    Raises:
        ValueError: no images, or a count that does not fit.
    """
    check_confidence(confidence)
    if not 0 <= successes <= n or n < 1 or failed < 0:
        raise ValueError(f"{successes} of {n} images, {failed} failed: expected counts of images")
    low, _ = _mid_p_bounds(successes, n + failed, confidence)
    _, high = _mid_p_bounds(successes + failed, n + failed, confidence)
    return Interval(successes / n, low, high, n)


def paired_difference_interval(
    first_only: int, second_only: int, n: int, *, failed: int = 0, confidence: float = CONFIDENCE
) -> Interval:
    """Difference of two proportions of the same ``n`` images, by Tango's score interval (1998).

    ``first_only`` images count for the first proportion alone, ``second_only`` for the second
    alone; the value is (first_only - second_only) / n. The bounds are the differences d at which
    (b - c - n d)^2 = z^2 n (2 q + d (1 - d)), q the most likely probability of the second alone
    given d. Coverage was 95 to 98% wherever 2 images or more are expected to differ, and up to 100%
    below that; Bonett and Price's interval covered more, a percentile bootstrap as few as 26%.

    ``failed`` images, beside the ``n``, may differ either way, as in :func:`proportion_interval`.

    Raises:
        ValueError: no images, or a count that does not fit.
    """
    check_confidence(confidence)
    if min(first_only, second_only, failed) < 0 or n < max(1, first_only + second_only):
        raise ValueError(
            f"{first_only} and {second_only} of {n} images, {failed} failed: expected counts of "
            "images"
        )
    low = _tango_low(first_only, second_only + failed, n + failed, confidence)
    # The upper bound is the lower one with the two exchanged.
    high = -_tango_low(second_only, first_only + failed, n + failed, confidence)
    return Interval((first_only - second_only) / n, low, high, n)


def mcnemar_mid_p(first_only: int, second_only: int) -> float:
    """McNemar's mid-p value that two proportions on the same images are equal (Fagerland 2013).

    Twice the chance of fewer than the smaller count among the images that differ, plus the chance
    of that count; 1 where both counts are equal, also where no image differs.

    Raises:
        ValueError: a negative count.
    """
    if min(first_only, second_only) < 0:
        raise ValueError(f"{first_only} and {second_only}: expected counts of images")
    if first_only == second_only:
        return 1.0
    smaller, differing = min(first_only, second_only), first_only + second_only
    binomial = stats.binom(differing, 0.5)
    return float(2 * binomial.cdf(smaller) - binomial.pmf(smaller))


def _mid_p_bounds(successes: int, n: int, confidence: float) -> tuple[float, float]:
    low = 0.0 if successes == 0 else _mid_p_low(successes, n, confidence)
    high = 1.0 if successes == n else 1 - _mid_p_low(n - successes, n, confidence)
    return low, high


def _mid_p_low(successes: int, n: int, confidence: float) -> float:
    def chance(share: float) -> float:
        reached = special.bdtrc(successes - 1, n, share)
        surpassed = special.bdtrc(successes, n, share) if successes < n else 0.0
        return float((reached + surpassed) / 2 - (1 - confidence) / 2)

    # At a share of 1 the chance is 1/2 where all succeeded, else 1.
    return float(optimize.brentq(chance, 0.0, 1.0, xtol=1e-12))


def _tango_low(first_only: int, second_only: int, n: int, confidence: float) -> float:
    quantile = stats.norm.ppf((1 + confidence) / 2)
    value = (first_only - second_only) / n

    def excess(difference: float) -> float:
        b = -first_only - second_only + (2 * n - first_only + second_only) * difference
        c = -second_only * difference * (1 - difference)
        likely = (np.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * likely + difference * (1 - difference))
        return float(n * (value - difference) - quantile * np.sqrt(max(variance, 0.0)))

    # The excess may also vanish at the value itself, where it is no bound.
    below = value - 1e-9
    if excess(-1.0) <= 0 or below <= -1:
        return -1.0
    return float(optimize.brentq(excess, -1.0, below, xtol=1e-12))
