"""The interval of an AUC from the influence of every image: it holds near 0 and 1 as well."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from .interval import CONFIDENCE

# So many degrees of freedom speak for the binomial variance before any image does.
_PRIOR_FREEDOM = 3.0


@dataclass(frozen=True)
class Influences:
    """A mean of AUCs, and of the inliers and of the outliers what each image adds to it.

    ``shares`` of either side add up to ``value``, ``weights`` to 1: what an image would add if it
    were on the right side of all others. ``strata`` are the images that weigh alike: those of a
    class, or outliers under the same classes.
    """

    value: float
    shares: tuple[np.ndarray, np.ndarray]
    weights: tuple[np.ndarray, np.ndarray]
    strata: tuple[np.ndarray, np.ndarray]

    @property
    def effective_images(self) -> float:
        """(sum w)^2 / sum w^2 of the side where that is smaller (Kish)."""
        return min(float(w.sum() ** 2 / np.sum(w**2)) for w in self.weights)


def auc_bounds(influences: Influences, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bounds on an AUC, or on a mean of AUCs over classes.

    The variance is DeLong's (1988): that of the inliers' influences plus that of the outliers',
    each within its stratum; a stratum of one image deviates from the grand mean, which makes it
    no smaller. Near 0 and 1 few images differ from the others and DeLong's variance is too small
    or none, so it is averaged with the binomial one of as many images as the smaller side has:
    DeLong's weighs as much as it has degrees of freedom (by the kurtosis of the influences), the
    binomial one as 3. A variance V is one of N = A (1 - A) / V images, and the bounds are Jeffreys'
    for A N successes of N, as survey statistics do (Franco et al. 2019). Groups that separate
    completely get the exact bound of the smaller side's images.

    On samples of 16 to 200 images a side, of five shapes of distribution and AUCs of .5 to .97,
    this covered 93.5 to 99%, and at .998 95 to 100%; the interval of the logit with DeLong's
    variance 82 to 98%, Newcombe's method 5 (2006) 81 to 98%. The bounds are nan where a side has
    one image, unless the groups separate.
    """
    value, images = influences.value, influences.effective_images
    tail = (1 - confidence) / 2
    if np.isclose(value, 0, atol=1e-12):
        return 0.0, 1 - tail ** (1 / images)
    if np.isclose(value, 1, atol=1e-12):
        return tail ** (1 / images), 1.0
    if min(len(shares) for shares in influences.shares) < 2:
        return np.nan, np.nan
    delong, freedom = _delong(influences)
    binomial = value * (1 - value)
    variance = (freedom * delong + _PRIOR_FREEDOM * binomial / images) / (freedom + _PRIOR_FREEDOM)
    n = binomial / variance
    successes = n * value
    low, high = stats.beta.ppf([tail, 1 - tail], successes + 0.5, n - successes + 0.5)
    return float(low), float(high)


def _delong(influences: Influences) -> tuple[float, float]:
    """DeLong's variance and its degrees of freedom."""
    total = spread = 0.0
    images = 0
    for shares, weights, strata in zip(
        influences.shares, influences.weights, influences.strata, strict=True
    ):
        squares = _squared_deviations(influences.value, shares, weights, strata)
        total += float(squares.sum())
        spread += float(np.sum(squares**2) - squares.sum() ** 2 / len(squares))
        images += len(squares)
    if total == 0:
        return 0.0, 0.0
    # Satterthwaite: 2 V^2 over the variance of V, for each side sum d^4 - (sum d^2)^2 / n.
    most = images - 2.0
    return total, min(most, 2 * total**2 / spread) if spread > 0 else most


def _squared_deviations(
    value: float, shares: np.ndarray, weights: np.ndarray, strata: np.ndarray
) -> np.ndarray:
    """What each image adds to the variance: its squared deviation, n / (n - 1) times."""
    squares = np.zeros(len(shares))
    for stratum in np.unique(strata):
        members = strata == stratum
        n = int(members.sum())
        centre = shares[members].mean() if n > 1 else value * weights[members]
        squares[members] = (shares[members] - centre) ** 2 * (n / (n - 1) if n > 1 else 1)
    return squares
