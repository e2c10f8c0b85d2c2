"""How many different images does a generator make? Collisions among its samples."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64, Int64
from scipy import optimize, special

from .interval import CONFIDENCE, SMALLEST_P_VALUE, Interval, check_confidence
from .l2 import known_scores, pair_distances, products, rounding, rows_at_once, squared_norms

_ROWS = 1024
_ELEMENTS = 8_000_000
# Of how often images of one group were seen to share a sample, for the upper end.
_DEVIATIONS = 2


@dataclass(frozen=True)
class Pairs:
    """Pairs of images of one set, ``first`` < ``second``, in the order of their distance."""

    first: Int64[np.ndarray, " pairs"]
    second: Int64[np.ndarray, " pairs"]
    distance: Float64[np.ndarray, " pairs"]

    def within(self, limit: float) -> "Pairs":
        """Those at most ``limit`` apart."""
        near = self.distance <= limit
        return Pairs(self.first[near], self.second[near], self.distance[near])


@dataclass(frozen=True)
class Support:
    """What the colliding pairs among ``n`` samples say.

    ``chance`` is that of two samples to collide, sum p^2 over images of probability p; ``size`` its
    inverse, the *effective* support: of as many equally likely images two would collide as often.
    Rare images do not show: a Zipf law over 10,000 has an effective support of 58. Both have
    ``n`` samples; the upper end of ``size`` is inf where nothing collided.
    """

    chance: Interval
    size: Interval
    pairs: int


def closest_pairs(vectors: Float[np.ndarray, "images columns"], count: int) -> Pairs:
    """The ``count`` closest pairs of a set in l2, exactly, and all that are as close as the last.

    Raises:
        ValueError: fewer pairs than asked for, or a value that is not finite.
    """
    n = len(vectors)
    if not 1 <= count <= n * (n - 1) // 2:
        raise ValueError(f"{count} pairs of {n} images: there are {n * (n - 1) // 2}")
    norms = squared_norms(vectors)
    factor = vectors.astype(np.float32, copy=False)
    step = rows_at_once(_ROWS, _ELEMENTS, vectors)
    best = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    for start in range(0, n, step):
        for other in range(start, n, step):
            rows, columns = slice(start, start + step), slice(other, other + step)
            row, column = _close(factor, norms, rows, columns, best, count)
            distance = pair_distances(vectors[rows], row, vectors[columns], column)
            best = _closest(
                Pairs(
                    np.concatenate([best.first, row + start]),
                    np.concatenate([best.second, column + other]),
                    np.concatenate([best.distance, distance]),
                ),
                count,
            )
    return best


def _close(
    factor: np.ndarray, norms: np.ndarray, rows: slice, columns: slice, best: Pairs, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of two blocks that may be among the closest, those so far given."""
    width = factor.shape[1]
    scores, error = _scores(factor, norms, rows, columns)
    most = np.finfo(scores.dtype).max
    # Squared distances of the whole block, by which its closest pairs are found.
    squared = scores + norms[rows][:, None]
    if squared.size > count:
        kth = float(np.partition(squared, count - 1, axis=None)[count - 1])
    else:
        kth = np.inf
    limit = kth + 2 * float(error.max()) - norms[rows]
    if len(best.distance) >= count:
        apart = np.full(len(scores), best.distance[-1])
        limit = np.minimum(limit, known_scores(apart, norms[rows], width) + error)
    return np.nonzero(scores <= np.minimum(limit, most)[:, None])  # type: ignore[return-value]


def _scores(
    factor: np.ndarray, norms: np.ndarray, rows: slice, columns: slice
) -> tuple[np.ndarray, np.ndarray]:
    """|c|^2 - 2 r c of two blocks' pairs, inf where a pair is none, and each row's rounding."""
    scores = products(factor[rows], factor[columns])
    scores *= -2
    scores += norms[columns].astype(scores.dtype)
    if rows == columns:
        scores[np.tril_indices(len(scores))] = np.inf
    return scores, rounding(norms[rows], float(norms[columns].max()), factor.shape[1])


def pairs_within(vectors: Float[np.ndarray, "images columns"], limit: float) -> Pairs:
    """All pairs of a set at most ``limit`` apart in l2, exactly.

    In one pass, however many they are: of a collapsed generator's images, all.

    Raises:
        ValueError: a value that is not finite.
    """
    norms = squared_norms(vectors)
    factor = vectors.astype(np.float32, copy=False)
    step = rows_at_once(_ROWS, _ELEMENTS, vectors)
    found = [Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for start in range(0, len(vectors), step):
        for other in range(start, len(vectors), step):
            rows, columns = slice(start, start + step), slice(other, other + step)
            scores, error = _scores(factor, norms, rows, columns)
            apart = np.full(len(scores), limit)
            most = known_scores(apart, norms[rows], vectors.shape[1]) + error
            most = np.minimum(most, np.finfo(scores.dtype).max)
            row, column = np.nonzero(scores <= most[:, None])
            distance = pair_distances(vectors[rows], row, vectors[columns], column)
            found.append(Pairs(row + start, column + other, distance).within(limit))
    return _in_order(
        Pairs(
            np.concatenate([each.first for each in found]),
            np.concatenate([each.second for each in found]),
            np.concatenate([each.distance for each in found]),
        )
    )


def _in_order(pairs: Pairs) -> Pairs:
    order = np.lexsort((pairs.second, pairs.first, pairs.distance))
    return Pairs(pairs.first[order], pairs.second[order], pairs.distance[order])


def _closest(pairs: Pairs, count: int) -> Pairs:
    pairs = _in_order(pairs)
    return pairs if len(pairs.distance) <= count else pairs.within(float(pairs.distance[count - 1]))


def effective_support(pairs: Pairs, n: int, *, confidence: float = CONFIDENCE) -> Support:
    """Sum p^2 and its inverse from the colliding pairs of ``n`` samples.

    The share of colliding pairs is unbiased for sum p^2. Their number is nearly Poisson unless
    images collide in groups; its variance is estimated with those, n (n - 1) (n - 2) (sum p^3 -
    (sum p^2)^2) more than the binomial one, and a Poisson interval (mid-p) is given for as many
    pairs as have the same relative variance. Samples that by chance hold few of the common images
    collide little and vary little: the upper end supposes larger groups than were seen.

    Raises:
        ValueError: fewer than two samples, or a pair that is not among them.
    """
    check_confidence(confidence)
    found = len(pairs.first)
    if n < 2 or (found and int(pairs.second.max()) >= n):
        raise ValueError(f"collisions among {n} samples: expected two or more, with all pairs")
    every = n * (n - 1) / 2
    chance = found / every
    shared = _shared(pairs, n)

    def end(shared: float, which: int) -> float:
        """An end of the interval if pairs of pairs share an image so often."""
        spread = _spread_of(found, n, shared) if found else 1.0
        bounds = _poisson_bounds(found / spread, (1 - confidence) / 2)
        return min(1.0, spread * bounds[which] / every)

    low = end(shared, 0)
    high = end(shared + _DEVIATIONS * np.sqrt(shared + 1), 1)
    return Support(
        Interval(chance, low, high, n),
        Interval(1 / chance if found else np.inf, 1 / high, 1 / low if low > 0 else np.inf, n),
        found,
    )


def duplicate_threshold(real: Pairs, allowed: int) -> float:
    """The largest distance within which at most ``allowed`` pairs of real images lie.

    ``real`` are the closest pairs of the images that calibrate it, more than ``allowed`` of them.
    Judge other real images by it too: what is found there is no fault of a generator.

    Raises:
        ValueError: too few pairs, or more exact duplicates among the real images than allowed.
    """
    if len(real.distance) <= allowed or allowed < 0:
        raise ValueError(f"{len(real.distance)} pairs to allow {allowed} of: give more")
    if real.distance[allowed] == 0:
        raise ValueError(
            f"more than {allowed} pairs of real images are equal, so that no distance tells a "
            f"generator's duplicates: allow {int(np.sum(real.distance == 0))} or more"
        )
    return float(np.nextafter(real.distance[allowed], 0))


def collides_more(pairs: Pairs, n: int, real: Pairs, real_n: int) -> float:
    """The p-value that samples collide no more often than real images.

    Of all colliding pairs those of the samples are binomial by the numbers of pairs, where pairs
    are independent. Those that share an image are not: both counts are divided by how much more
    they vary for it, by the larger estimate of the two (Fashion-MNIST: 20 expected pairs among 500
    images vary 3.3 times as much, and the binomial law alone was wrong in 14% of cases for 5%).
    """
    samples, together, share = _beside_real(pairs, n, real, real_n, 1.0)
    if samples == 0:
        return 1.0
    chance = float(special.betainc(samples, together - samples + 1, share))
    return max(chance, SMALLEST_P_VALUE)


def collides_less(pairs: Pairs, n: int, real: Pairs, real_n: int, ratio: float) -> float:
    """The p-value that samples collide at least ``ratio`` times as often as real images."""
    samples, together, share = _beside_real(pairs, n, real, real_n, ratio)
    if samples == together:
        return 1.0
    chance = float(special.betaincc(samples + 1, together - samples, share))
    return max(chance, SMALLEST_P_VALUE)


def _beside_real(
    pairs: Pairs, n: int, real: Pairs, real_n: int, ratio: float
) -> tuple[float, float, float]:
    """Counts of the samples' and of all pairs, as if independent, and the share expected."""
    spread = max(_spread(pairs, n), _spread(real, real_n))
    every, real_every = ratio * n * (n - 1) / 2, real_n * (real_n - 1) / 2
    samples, others = len(pairs.first) / spread, len(real.first) / spread
    return samples, samples + others, every / (every + real_every)


def _spread(pairs: Pairs, n: int) -> float:
    """By how much the number of colliding pairs varies more than a Poisson count; at least 1."""
    found = len(pairs.first)
    return _spread_of(found, n, _shared(pairs, n)) if found else 1.0


def _shared(pairs: Pairs, n: int) -> float:
    """How many pairs of colliding pairs have an image in common."""
    partners = np.bincount(np.concatenate([pairs.first, pairs.second]), minlength=n)
    return float(np.sum(partners * (partners - 1.0))) / 2


def _spread_of(found: int, n: int, shared: float) -> float:
    chance = found / (n * (n - 1) / 2)
    more = 2 * shared - n * (n - 1) * (n - 2) * chance**2
    return max(1.0, 1 - chance + more / found)


def half_chance_batch(pairs: Pairs, n: int, seed: int, *, orders: int = 2000) -> int | None:
    """The smallest batch that holds a duplicate with a chance of one half; None if no batch does.

    The form of Arora and Zhang (2018), who take its square for the support. Batches are drawn from
    the ``n`` samples without replacement: of every order of them the first so many.
    """
    if not len(pairs.first):
        return None
    rng = np.random.default_rng(seed)
    batch = np.empty(orders, np.int64)
    # Of many pairs one lies among the first few images of an order: each image's are found fast.
    by_image = _partners_of(pairs, n) if len(pairs.first) > n else None
    for number in range(orders):
        place = rng.permutation(n)
        if by_image is None:
            batch[number] = 1 + np.maximum(place[pairs.first], place[pairs.second]).min()
        else:
            batch[number] = _first_duplicate(place, *by_image)
    return int(np.sort(batch)[(orders + 1) // 2 - 1])


def _partners_of(pairs: Pairs, n: int) -> tuple[np.ndarray, np.ndarray]:
    """The other images of each image's pairs, one image after the other, and where each begins."""
    one = np.concatenate([pairs.first, pairs.second]).astype(np.int32)
    other = np.concatenate([pairs.second, pairs.first]).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(np.bincount(one, minlength=n))])
    return other[np.argsort(one, kind="stable")], starts


def _first_duplicate(place: np.ndarray, partners: np.ndarray, starts: np.ndarray) -> int:
    """How many images of an order it takes until one has a partner among those before it."""
    for position, image in enumerate(np.argsort(place).tolist()):
        if (place[partners[starts[image] : starts[image + 1]]] < position).any():
            return position + 1
    raise AssertionError("there is a pair, which is among all images")


def _poisson_bounds(count: float, tail: float) -> tuple[float, float]:
    """Means under which a count, whole or not, is exceeded with chances ``tail`` and 1 - that."""

    def beyond(mean: float) -> float:
        as_many = special.gammainc(count, mean) if count > 0 else 1.0
        return float(as_many + special.gammainc(count + 1, mean)) / 2

    far = 10 * count + 50
    low = 0.0 if count == 0 else optimize.brentq(lambda mean: beyond(mean) - tail, 0, far)
    return float(low), float(optimize.brentq(lambda mean: beyond(mean) - 1 + tail, 0, far))
