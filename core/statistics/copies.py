"""Does a generator copy its training images? Nearness ranked among held-out images.

An image's nearness is the distance to its nearest training image over the mean distance to its 50
nearest: small for a copy, and blind to how plain the image is. A held-out image was drawn as the
training images were and cannot have been copied, so the rank of a generated image's nearness among
those of held-out images is a p-value, provided that the generator's images lie no nearer to images
that it never saw than real ones do (`share_of_copies` against held-out references asks just that).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from scipy import optimize, special, stats

from .interval import (
    CONFIDENCE,
    SMALLEST_P_VALUE,
    Interval,
    check_confidence,
    check_sample,
)

# How many nearest training images say what is near for an image.
NEAREST = 50
# So large a part of the held-out images may be training images.
SHARED = 0.01
# The nearness at which copies are counted is that of this share of held-out images.
_COUNTED_AT = 0.005
# Points of Gauss and Legendre's quadrature over the share of honest images that are counted.
_POINTS = 48


@dataclass(frozen=True)
class Copies:
    """How many images lie nearer to training images than held-out ones do.

    ``counted`` of ``n`` images have a nearness of at most ``threshold``, the ``rank``-th smallest
    of ``held_out`` images. ``share`` estimates the share of copies that this counts. Its
    interval supposes that every copy is counted: a copy that is not leaves it too low.
    ``p_value`` is that of no copies, ``detectable`` the smallest share that had been found with a
    probability of `POWER`.
    """

    share: Interval
    p_value: float
    detectable: float
    counted: int
    threshold: float
    rank: int
    n: int
    held_out: int


# A share is detectable if it is found with this probability, at the level of 1 - CONFIDENCE.
POWER = 0.95


def nearness(
    distance: Float64[np.ndarray, "images k"],
) -> Float64[np.ndarray, " images"]:
    """The nearest distance over the mean of all k, in [0, 1]; 0 where all k are 0.

    Raises:
        ValueError: a list that is not full, because fewer references were left.
    """
    if not np.isfinite(distance).all():
        raise ValueError(
            f"an image has fewer than {distance.shape[1]} references to be compared with: give more"
        )
    mean = distance.mean(axis=1)
    return np.asarray(np.divide(distance[:, 0], mean, out=np.zeros_like(mean), where=mean > 0))


def held_out_p_values(
    values: Float64[np.ndarray, " images"], held_out: Float64[np.ndarray, " held"]
) -> Float64[np.ndarray, " images"]:
    """(1 + the number of held-out values as small) / (1 + their number), for each value.

    Valid for each image if it is exchangeable with the held-out ones, never below 1 / (1 + n)
    (conformal p-values: Bates et al. 2023, Eq. 1).

    Raises:
        ValueError: no held-out values, or one that is nan.
    """
    check_sample("held_out", held_out)
    check_sample("values", values)
    as_small = np.searchsorted(np.sort(held_out), values, side="right")
    return np.asarray((1 + as_small) / (1 + len(held_out)))


def shared_p_value(shared: int, held_out: int, repeated: int, training: int) -> float:
    """The p-value that at most 1% of held-out images are training images, equal ones aside.

    ``shared`` of ``held_out`` images equal a training image, and ``repeated`` of ``training`` ones,
    chosen at random, equal another. Were both sets drawn alike, as large a part of either would:
    the held-out images are held against the upper end of that part's interval (Clopper and
    Pearson), and `SHARED` more. So few hardly change any answer, and so many need be no mistake.

    Raises:
        ValueError: a number of images that is not among as many.
    """
    if not 0 <= shared <= held_out or not 0 <= repeated <= training:
        raise ValueError(f"{shared} of {held_out}, {repeated} of {training}: more than there are")
    most = 1.0
    if repeated < training:
        most = float(stats.beta.ppf(CONFIDENCE, repeated + 1, training - repeated))
    p_value = stats.binom.sf(shared - 1, held_out, min(1.0, most + SHARED))
    return max(float(p_value), SMALLEST_P_VALUE)


def benjamini_hochberg(
    p_values: Float64[np.ndarray, " images"], level: float
) -> Bool[np.ndarray, " images"]:
    """Which are discoveries, of which a share ``level`` is expected to be false.

    Benjamini and Hochberg (1995). It holds for p-values by ranks among the same held-out images,
    which depend on each other positively (Bates et al. 2023, Theorem 2).

    Raises:
        ValueError: a level that is no probability.
    """
    check_confidence(level)
    n = len(p_values)
    ordered = np.sort(p_values)
    # Half a rounding unit of slack, since level * rank / n need not be what it should be.
    below = np.flatnonzero(ordered <= level * np.arange(1, n + 1) / n * (1 + 1e-12))
    limit = ordered[below[-1]] if len(below) else -1.0
    return np.asarray(p_values <= limit)


def share_of_copies(
    values: Float64[np.ndarray, " images"],
    held_out: Float64[np.ndarray, " held"],
    *,
    confidence: float = CONFIDENCE,
) -> Copies:
    """The share of copies, by how many images are as near as the nearest of the held-out ones.

    The threshold is the nearness of the r-th nearest held-out image, r about half a percent of
    them. Of honest images a share a lies below it that is unknown, but its law is not: Beta(r,
    n + 1 - r), whatever the law of the nearness (Wilks 1941). With a share s of copies, all below
    it, the number counted is binomial with s + (1 - s) a. The interval holds the shares under which
    a count as extreme has a chance of at least (1 - confidence) / 2, half of the chance of the
    count itself left out (mid-p), averaged over a. Its upper end is at least that of the median
    count without copies: too few near images are no evidence (Cowan et al. 2011).

    Raises:
        ValueError: no values or no held-out ones, a nan, or a confidence that is no probability.
    """
    check_confidence(confidence)
    check_sample("values", values)
    check_sample("held_out", held_out)
    held, n = len(held_out), len(values)
    rank = max(1, round(_COUNTED_AT * held))
    threshold = float(np.partition(held_out, rank - 1)[rank - 1])
    at_most = int(np.sum(held_out <= threshold))
    # Of equal values nobody knows the order: the next held-out image's law has the longer tail.
    rank = at_most + int(at_most > rank or bool((values == threshold).any()))
    if rank > held:
        raise ValueError(f"all {held} held-out values are {threshold}: none tells a copy from them")
    counted = int(np.sum(values <= threshold))
    law = _Counts.of(n, rank, held)
    tail = (1 - confidence) / 2
    low = 0.0 if law.beyond(counted, 0.0) >= tail else law.share(counted, tail)
    # Fewer than honest images give by chance exclude no share that they would not exclude.
    seen = max(counted, law.median())
    high = 1.0 if law.beyond(seen, 1.0) <= 1 - tail else law.share(seen, 1 - tail)
    honest = rank / (held + 1)
    value = min(1.0, max(0.0, (counted / n - honest) / (1 - honest)))
    return Copies(
        Interval(value, min(low, value), max(high, value), n),
        law.p_value(counted),
        law.detectable(1 - CONFIDENCE),
        counted,
        threshold,
        rank,
        n,
        held,
    )


def detectable_share(n: int, held_out: int) -> float:
    """The smallest share of copies that ``n`` images show beside so many held-out ones.

    Found with probability `POWER` at the level of 1 - `CONFIDENCE`, if every copy is nearer than
    the threshold; inf where not even copies alone could be told.

    Raises:
        ValueError: no images.
    """
    if min(n, held_out) < 1:
        raise ValueError(f"{n} images and {held_out} held-out ones: expected at least one each")
    rank = max(1, round(_COUNTED_AT * held_out))
    return _Counts.of(n, rank, held_out).detectable(1 - CONFIDENCE)


@dataclass(frozen=True)
class _Counts:
    """The law of the number of ``n`` images below the r-th of the held-out values.

    ``none[count]`` is the chance of as many without copies: a beta-binomial law's tail. ``honest``
    and ``weight`` are quadrature's points over the share of honest images below that value.
    """

    n: int
    none: np.ndarray
    honest: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, n: int, rank: int, held_out: int) -> "_Counts":
        law = stats.beta(rank, held_out + 1 - rank)
        low, high = law.ppf(1e-12), law.isf(1e-12)
        points, weight = np.polynomial.legendre.leggauss(_POINTS)
        honest = low + (high - low) * (points + 1) / 2
        weight = weight * law.pdf(honest)
        chance = stats.betabinom(n, rank, held_out + 1 - rank).pmf(np.arange(n + 1))
        none = np.minimum(np.cumsum(chance[::-1])[::-1], 1.0)
        return cls(n, none, honest, weight / weight.sum())

    def median(self) -> int:
        """The median count without copies."""
        return int(np.flatnonzero(self.none > 1 / 2)[-1])

    def p_value(self, counted: int) -> float:
        """The chance of as many without copies, above 0."""
        return max(float(self.none[counted]), SMALLEST_P_VALUE)

    def at_least(self, counted: int, share: float) -> float:
        """The chance of as many with that share of copies."""
        if counted <= 0:
            return 1.0
        chance = np.minimum(share + (1 - share) * self.honest, 1.0)
        return float(self.weight @ special.bdtrc(counted - 1, self.n, chance))

    def beyond(self, counted: int, share: float) -> float:
        """The chance of more, and half of that of as many: grows with the share."""
        more = 0.0 if counted >= self.n else self.at_least(counted + 1, share)
        return (self.at_least(counted, share) + more) / 2

    def share(self, counted: int, chance: float) -> float:
        """The share under which `beyond` is ``chance``."""
        return float(
            optimize.brentq(lambda share: self.beyond(counted, share) - chance, 0, 1, xtol=1e-10)
        )

    def detectable(self, level: float) -> float:
        """The share at which a count that is significant has a chance of `POWER`."""
        significant = np.flatnonzero(self.none <= level)
        if not len(significant):
            return np.inf
        critical = int(significant[0])
        return float(
            optimize.brentq(lambda share: self.at_least(critical, share) - POWER, 0, 1, xtol=1e-10)
        )
