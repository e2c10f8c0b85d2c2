"""Mode collapse over the checkpoints of a training, and over several generators ([CB] 3.3)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy import stats

from ..settings.statistics import MINIMUM_RESAMPLES
from .interval import CONFIDENCE, Interval, check_confidence

# A line through fewer checkpoints has no interval: nothing tells their scatter from its bend.
MINIMUM_CHECKPOINTS = 5


@dataclass(frozen=True)
class Dominance:
    """``classes``: the dominant one of each checkpoint; ``switches``: how often it is another."""

    classes: Int64[np.ndarray, " checkpoints"]
    switches: int


@dataclass(frozen=True)
class Concordance:
    """Kendall's W, 1 where generators favour the same classes and near 0 where they do not."""

    w: float
    p_value: float


def dominant_classes(
    counts: Int64[np.ndarray, "checkpoints classes"], real: Int64[np.ndarray, " classes"]
) -> Dominance:
    """The class of each checkpoint that is the most over-represented.

    By the ratio of its share to that among ``real``, annotated real images; ties go to the lower
    class. A class that no real image has is passed over.
    """
    ratio = np.divide(
        counts / counts.sum(axis=1, keepdims=True),
        real / real.sum(),
        out=np.zeros(counts.shape),
        where=np.broadcast_to(real > 0, counts.shape),
    )
    classes = ratio.argmax(axis=1).astype(np.int64)
    return Dominance(classes, int(np.sum(classes[1:] != classes[:-1])))


def trend(
    steps: Sequence[int],
    distances: Float64[np.ndarray, " checkpoints"],
    *,
    confidence: float = CONFIDENCE,
) -> Interval:
    """Slope of the distances from the first step to the last, with its interval: does it recede?

    ``value`` is what a straight line changes by over the whole training, so that a negative
    interval says that collapse recedes. Least squares and Student's t; neighbouring checkpoints are
    alike, so the standard error is enlarged by sqrt((1 + r) / (1 - r)) with r the correlation of
    neighbouring residuals where that is positive, and degrees of freedom shrink as the number of
    independent checkpoints does. At 6, 10, 20 and 50 checkpoints the coverage was 95/97/98/97% in
    simulation without such likeness, 89/88/92/94 where r is 0.5, 85/81/87/90 where it is 0.8. The
    bounds are nan below `MINIMUM_CHECKPOINTS`.

    Raises:
        ValueError: steps that do not ascend, or another number of distances.
    """
    check_confidence(confidence)
    times = np.asarray(steps, dtype=np.float64)
    if len(times) < 2 or len(times) != len(distances) or not (np.diff(times) > 0).all():
        raise ValueError(f"{len(times)} steps: expected two at least, ascending, a distance each")
    times = (times - times[0]) / (times[-1] - times[0])
    line = stats.linregress(times, distances)
    count = len(times)
    if count < MINIMUM_CHECKPOINTS:
        return Interval(float(line.slope), np.nan, np.nan, count)
    residuals = distances - line.intercept - line.slope * times
    squares = float(residuals @ residuals)
    alike = float(residuals[1:] @ residuals[:-1]) / squares if squares > 0 else 0.0
    # The correlation of so few residuals is low by about (1 + 4 r) / n (Marriott and Pope 1954).
    r = float(np.clip((count * alike + 1) / (count - 4), 0.0, 0.9))
    freedom = max(1.0, count * (1 - r) / (1 + r) - 2)
    error = line.stderr * np.sqrt((1 + r) / (1 - r))
    reach = float(stats.t.ppf((1 + confidence) / 2, freedom) * error)
    return Interval(float(line.slope), line.slope - reach, line.slope + reach, count)


def concordance(ratios: Float64[np.ndarray, "generators classes"], seed: int) -> Concordance:
    """Whether generators collapse onto the same classes: Kendall's W of the classes' ranks.

    ``ratios`` are each generator's class shares over the annotated real ones. The p-value is that
    of a permutation test: each generator's ranks are dealt to the classes at random, as of
    generators that favour classes independently of each other. It takes classes for exchangeable;
    where shares differ :func:`chance_concordance` belongs beside it.

    Raises:
        ValueError: fewer than two generators or classes, or a ratio that is nan.
    """
    if min(ratios.shape) < 2 or np.isnan(ratios).any():
        raise ValueError("expected ratios of two generators and two classes at least, none nan")
    ranks = stats.rankdata(ratios, axis=1)
    rng = np.random.default_rng(seed)
    null = np.zeros((MINIMUM_RESAMPLES, ratios.shape[1]))
    for mine in ranks:
        null += rng.permuted(np.tile(mine, (MINIMUM_RESAMPLES, 1)), axis=1)
    spread = null.var(axis=1)
    observed = float(ranks.sum(axis=0).var())
    slack = 1e-9 * max(1.0, observed)
    p_value = float((1 + np.sum(spread >= observed - slack)) / (1 + MINIMUM_RESAMPLES))
    there = np.ones((1, ratios.shape[1]), dtype=bool)
    return Concordance(float(_kendalls_w(ratios[None], there)[0]), p_value)


def share_ratios(
    made: Int64[np.ndarray, "draws generators classes"],
    real: Int64[np.ndarray, "draws generators classes"],
) -> tuple[Float64[np.ndarray, "draws generators classes"], Bool[np.ndarray, "draws classes"]]:
    """Each generator's class shares over those of its real images, and the classes compared.

    These are the ones that the real images of every generator have; elsewhere ratios are inf.
    """
    there = np.asarray((real > 0).all(axis=1))
    ratios = np.divide(
        made / made.sum(axis=2, keepdims=True),
        real / real.sum(axis=2, keepdims=True),
        out=np.full(made.shape, np.inf),
        where=np.broadcast_to(there[:, None], made.shape),
    )
    return ratios, there


def chance_concordance(
    w: float,
    made: Sequence[int],
    real: Sequence[int],
    shares: Float64[np.ndarray, "generators classes"],
    seed: int,
) -> float:
    """How often generators without any fault have so large a W: a parametric bootstrap.

    Rare classes have the most extreme ratios of every generator, by chance alone, so that a W of
    honest ones is larger the more shares differ. Here as many labels as were observed are drawn,
    and W is made of them in the same way, absent classes left out.

    Args:
        w: observed, as :func:`concordance` gives it.
        made: how many labels of each generator there are.
        real: and how many of its real images.
        shares: the class shares of each generator's real images, which its own follow, too.
        seed: of the draws.

    Returns:
        The p-value; 1 where no draw has two classes.
    """
    rng = np.random.default_rng([seed, 1])
    drawn = [
        np.stack(
            [
                rng.multinomial(count, mine, MINIMUM_RESAMPLES)
                for count, mine in zip(counts, shares, strict=True)
            ],
            axis=1,
        )
        for counts in (made, real)
    ]
    ratios, there = share_ratios(drawn[0], drawn[1])
    known = there.sum(axis=1) >= 2
    null = _kendalls_w(ratios[known], there[known])
    return float((1 + np.sum(null >= w - 1e-9)) / (1 + len(null)))


def _kendalls_w(
    ratios: Float64[np.ndarray, "draws generators classes"],
    there: Bool[np.ndarray, "draws classes"],
) -> Float64[np.ndarray, " draws"]:
    """W over the classes that are there; the ratios of the others are larger than any."""
    ranks = stats.rankdata(ratios, axis=2)
    of = there[:, None]
    observed = ranks.sum(axis=1).var(axis=1, where=there)
    # At most: every generator with the same ranks, ties included.
    most = np.sqrt(ranks.var(axis=2, where=np.broadcast_to(of, ranks.shape))).sum(axis=1) ** 2
    return np.asarray(np.divide(observed, most, out=np.zeros(len(ranks)), where=most > 0))
