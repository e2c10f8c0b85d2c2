"""How much less real data would do as well: a generator "as diverse as 1/M of the data".

A classifier is trained on generated images and tested on real ones; others are trained on random
1/M of the real data, for a list of M ([CB] 3.4, Table 2, Figure 3). The headline is the M at which
the real curve crosses the generator's accuracy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from scipy import stats

from ..settings.statistics import MINIMUM_RESAMPLES
from .interval import CONFIDENCE, check_confidence, check_resamples


@dataclass(frozen=True)
class EquivalentShare:
    """``factor`` M: generated images do as well as 1/M of the real ones. ``n``: test images.

    Where the real curve does not cross the generator's accuracy M is censored: 0 where generated
    images do better than all the real data, infinite where they do worse than the smallest share
    that was tried, 1/``largest``. The bounds are censored in the same way, ``low`` at the better
    end.
    """

    factor: float
    low: float
    high: float
    largest: int
    n: int

    def __str__(self) -> str:
        return self._in_words(self.factor)

    def interval_in_words(self) -> str:
        """The interval, such as ``1/120 to 1/310`` or ``1/700 to less than 1/1024``."""
        return f"{self._in_words(self.low)} to {self._in_words(self.high)}"

    def _in_words(self, factor: float) -> str:
        if factor == 0:
            return "more than all"
        if np.isinf(factor):
            return f"less than 1/{self.largest}"
        return "all" if factor == 1 else f"1/{factor:.3g}" if factor < 100 else f"1/{factor:.0f}"


def crossing(factors: Sequence[int], accuracies: Sequence[float], accuracy: float) -> float:
    """The M at which the real curve has ``accuracy``; 0 or infinite where it does not reach it.

    ``factors`` M ascend, with 1 as the first. The curve is the nearest one that does not rise with
    M (isotonic regression), and a line in ln M between its points. Where it is level at the
    accuracy, the largest such M: the fewest real images that do as well.

    Raises:
        ValueError: fewer than two factors, or factors that do not ascend from 1.
    """
    _check_factors(factors)
    if len(accuracies) != len(factors):
        raise ValueError(f"{len(accuracies)} accuracies for {len(factors)} factors: give one each")
    falling = _falling(np.asarray(accuracies, dtype=np.float64)[None])
    return float(_crossings(np.log(factors), falling, np.array([accuracy]))[0])


def equivalent_share(
    factors: Sequence[int],
    real: Sequence[Bool[np.ndarray, "_models images"]],
    generated: Bool[np.ndarray, "_models images"],
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
    confidence: float = CONFIDENCE,
) -> EquivalentShare:
    """The headline, with an interval over models and over test images.

    ``real`` has for each factor whether each of its models (draws of the subset, seeds of the
    classifier) labels each test image rightly, ``generated`` the same of models trained on
    generated images (draws of the generator, seeds); all on the same test images. Accuracies are
    means over models.

    For the interval, test images are weighed anew, alike for all models, since a hard image is hard
    for all. Each mean over models is moved by Student's t times its standard error over
    models. Their variance is that of the row's own models or the mean of all rows, whichever is
    larger, with the degrees of freedom of all rows: two models alone do not say how much models
    differ. How the real curve bends between the factors is not in the interval.

    Raises:
        ValueError: factors as in `crossing`, other test images in a row, no row with two models, or
            too few resamples.
    """
    _check_factors(factors)
    check_resamples(resamples)
    check_confidence(confidence)
    rows = [*real, generated]
    images = generated.shape[1]
    if len(real) != len(factors) or any(row.shape[1] != images for row in rows):
        raise ValueError("models of each factor on the same test images: expected a row for each")
    spares = np.array([len(row) - 1 for row in rows])
    if min(spares) < 0 or spares.sum() == 0:
        raise ValueError("one model a row: the interval needs two models in a row at least")
    means = np.stack([row.mean(axis=0) for row in rows])
    errors = _standard_errors(rows, spares)
    rng = np.random.default_rng(seed)
    drawn = _resampled_means(means, rng, resamples)
    drawn += errors * stats.t.rvs(spares.sum(), size=drawn.shape, random_state=rng)
    factor = crossing(factors, means[:-1].mean(axis=1).tolist(), float(means[-1].mean()))
    found = np.sort(_crossings(np.log(factors), _falling(drawn[:, :-1]), drawn[:, -1]))
    left_out = int(resamples * (1 - confidence) / 2)
    return EquivalentShare(
        factor, float(found[left_out]), float(found[-1 - left_out]), factors[-1], images
    )


def _check_factors(factors: Sequence[int]) -> None:
    if len(factors) < 2 or factors[0] != 1 or not (np.diff(factors) > 0).all():
        raise ValueError(f"factors {list(factors)}: expected 1 and ascending ones, two at least")


def _standard_errors(rows: Sequence[np.ndarray], spares: np.ndarray) -> np.ndarray:
    """Of each row's mean accuracy over models, the test images as they are."""
    own = np.array(
        [row.mean(axis=1).var(ddof=1) if len(row) > 1 else 0.0 for row in rows], dtype=np.float64
    )
    pooled = (spares * own).sum() / spares.sum()
    return np.asarray(np.sqrt(np.maximum(own, pooled) / (spares + 1)))


def _resampled_means(
    means: np.ndarray, rng: np.random.Generator, resamples: int
) -> Float64[np.ndarray, "resamples rows"]:
    """Means over test images with random weights: the Bayesian bootstrap (Rubin 1981).

    Its spread is that of resampling with replacement, at a tenth of the time.
    """
    images = means.shape[1]
    blocks = []
    rows = max(1, 4_000_000 // images)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        weights = rng.standard_exponential((count, images))
        blocks.append(weights @ means.T / weights.sum(axis=1, keepdims=True))
    return np.concatenate(blocks)


def _falling(accuracies: np.ndarray) -> np.ndarray:
    """Each row's nearest one that does not rise, in squares: max over ends of min over starts.

    Of means over stretches (Robertson, Wright and Dykstra 1988, 1.4), all points weighing the same.
    """
    count = accuracies.shape[1]
    sums = np.concatenate([np.zeros((len(accuracies), 1)), accuracies.cumsum(axis=1)], axis=1)
    fitted = np.empty_like(accuracies)
    for place in range(count):
        by_start = []
        for start in range(place + 1):
            ends = np.arange(place + 1, count + 1)
            stretch = (sums[:, ends] - sums[:, [start]]) / (ends - start)
            by_start.append(stretch.max(axis=1))
        fitted[:, place] = np.min(by_start, axis=0)
    return fitted


def _crossings(
    log_factors: np.ndarray, falling: np.ndarray, accuracies: np.ndarray
) -> Float64[np.ndarray, " rows"]:
    """See `crossing`, for rows of curves and an accuracy each."""
    # Sums of the isotonic fit differ in the last digits where its values are equal.
    slack = 1e-12
    found = np.full(len(falling), np.inf)
    reached = falling >= accuracies[:, None] - slack
    last = reached.sum(axis=1) - 1
    found[last < 0] = 0.0
    at_end = last == len(log_factors) - 1
    close = np.abs(falling[:, -1] - accuracies) <= slack
    found[at_end & close] = np.exp(log_factors[-1])
    inside = np.flatnonzero((last >= 0) & ~at_end)
    here = last[inside]
    upper, lower = falling[inside, here], falling[inside, here + 1]
    part = np.clip((upper - accuracies[inside]) / (upper - lower), 0.0, 1.0)
    logs = log_factors[here] + part * (log_factors[here + 1] - log_factors[here])
    found[inside] = np.exp(logs)
    return found
