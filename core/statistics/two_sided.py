"""Is an image like held-out ones, on several scores at once and on both sides of each?

A score that only counts on one side misses an image that has too much of it. On each side of each
score images are ranked by how far out they lie; an image's best rank says how strange it is, and
where images have the same, their distance from the median in the spread of that side. The rank of
this strangeness among held-out images is a p-value (conformal: Vovk et al. 2005). Ranks and spreads
are taken over the held-out images and the image itself, which makes them exchangeable: the p-value
is valid however few held-out images there are and whatever the law of their scores is. By distances
alone a side with a long tail would hide what lies beyond a short one.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

from .interval import SMALLEST_P_VALUE, Interval
from .proportions import proportion_interval

# The median, and the quantiles between which scores are ordinary: the distance of each is 1.
_QUANTILES = (0.05, 0.5, 0.95)
# So many scores are in memory at once.
_BLOCK = 2**20


@dataclass(frozen=True)
class Unlike:
    """How many images have a p-value of at most ``level`` among held-out images.

    ``share`` is theirs, with the interval of a share against these same held-out images.
    ``p_value`` is that of as many or more if the images are like held-out ones.
    """

    share: Interval
    p_value: float
    level: float


def two_sided_p_values(
    scores: Float64[np.ndarray, "images scores"], held_out: Float64[np.ndarray, "held scores"]
) -> Float64[np.ndarray, " images"]:
    """The p-value of each image's being like held-out ones, at least 1 / (1 + held).

    Raises:
        ValueError: no held-out images, or a nan.
    """
    if not len(held_out):
        raise ValueError("held_out is empty: nothing to rank images among")
    if np.isnan(scores).any() or np.isnan(held_out).any():
        raise ValueError("a score is nan: leave failed images out first")
    found = np.empty(len(scores))
    at_once = max(1, _BLOCK // held_out.size)
    for start in range(0, len(scores), at_once):
        part = scores[start : start + at_once]
        others = np.broadcast_to(held_out, (len(part), *held_out.shape))
        found[start : start + at_once] = _p_values(np.concatenate([others, part[:, None]], axis=1))
    return found


def count_unlike(p_values: Float64[np.ndarray, " images"], held_out: int, level: float) -> Unlike:
    """How many images are unlike ``held_out`` ones at a level, and whether that is chance.

    The share of all like images whose p-value is at most the level follows
    Beta(r, held_out + 1 - r) with r = floor(level (1 + held_out)), since one set of held-out images
    ranks all of them: so the count of like images is close to beta-binomial, and wider than
    binomial. Close, since an image's strangeness is by ranks among the held-out ones and itself,
    so that each image is held against slightly other values of the held-out ones'.

    Raises:
        ValueError: no images, or too few held-out ones for any p-value to reach the level.
    """
    rank = int(np.floor(level * (1 + held_out) * (1 + 1e-12)))
    if not rank or not len(p_values):
        raise ValueError(f"{len(p_values)} images among {held_out} held-out ones: too few")
    n, count = len(p_values), int(np.sum(p_values <= level * (1 + 1e-12)))
    # Summed up, since one minus the others' sum loses what is small.
    at_least = stats.betabinom.pmf(np.arange(count, n + 1), n, rank, held_out + 1 - rank)
    p_value = min(max(float(at_least.sum()), SMALLEST_P_VALUE), 1.0)
    return Unlike(proportion_interval(count, n), p_value, level)


def _p_values(scores: np.ndarray) -> np.ndarray:
    """The last image's, among all of each row of sets [sets, images, scores]."""
    strange = _strangeness(scores)
    return np.asarray(np.mean(strange >= strange[:, -1:], axis=1))


def _strangeness(scores: np.ndarray) -> np.ndarray:
    """Minus the best rank of each image on any side, plus a part of 1 for its distance."""
    ranks = np.minimum(_ranks(scores), _ranks(-scores)).min(axis=2)
    far = _distances(scores)
    return np.asarray(1 - 1 / (1 + far) - ranks)


def _ranks(scores: np.ndarray) -> np.ndarray:
    """How many images have at most an image's score, itself among them."""
    return np.asarray(stats.rankdata(scores, method="max", axis=1))


def _distances(scores: np.ndarray) -> np.ndarray:
    """The largest distance from a median, in units of that of the ordinary on its side."""
    low, centre, high = np.quantile(scores, _QUANTILES, axis=1, keepdims=True)
    away = scores - centre
    width = np.where(away > 0, high - centre, centre - low)
    # Where no score of a side is ordinary any that lies there is out of all proportion.
    relative = np.divide(np.abs(away), width, out=np.where(away == 0, 0.0, np.inf), where=width > 0)
    return np.asarray(relative.max(axis=2))
