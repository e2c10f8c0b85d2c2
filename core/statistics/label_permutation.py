"""Are generated images nearest to training rather than to held-out images? An exact test.

Training and held-out images were drawn alike, so for a generator that has copied nothing the labels
"training" and "held out" could as well be exchanged, whatever its images look like: blurred, of few
classes, or noise. Which image is nearest to a generated one does not depend on the labels.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from ..settings.statistics import MINIMUM_RESAMPLES
from .interval import CONFIDENCE, check_sample

# The nearest images that are looked at alone: this many, twice as many, ..., all.
_FEWEST = 4
_BLOCK_ELEMENTS = 4_000_000


@dataclass(frozen=True)
class LabelTest:
    """How many generated images have a training image as their nearest, and if labels matter.

    ``training`` is the share of those, ``expected`` that of training images in the pool.
    ``p_value`` is one-sided: of the largest excess among the nearest 4, 8, 16, ... and all images.
    Fewer than ``fewest`` copies cannot be seen: even alone among images of nothing else they would
    be nearest to training images by chance too often.
    """

    training: float
    expected: float
    p_value: float
    fewest: int


def permute_labels(
    nearest: Int64[np.ndarray, " images"],
    nearness: Float64[np.ndarray, " images"],
    training: Bool[np.ndarray, " pool"],
    seed: int,
    *,
    sets: int = MINIMUM_RESAMPLES,
) -> LabelTest:
    """Exchange the labels of a pool of training and held-out images, ``sets`` times.

    Args:
        nearest: the place in the pool of each generated image's nearest.
        nearness: how near it is, smaller for nearer, as found in the whole pool without its labels.
        training: which images of the pool are training images.
        seed: of the permutations.
        sets: how many.

    Raises:
        ValueError: no images, a pool of one kind alone, or a place that is not in it.
    """
    check_sample("nearness", nearness)
    pool, held = len(training), int(np.sum(~training))
    if held in (0, pool):
        raise ValueError(
            f"{pool - held} training and {held} held-out images: the labels of one kind alone "
            "cannot be exchanged"
        )
    if not 0 <= nearest.min() <= nearest.max() < pool:
        raise ValueError(f"a nearest image is not in the pool of {pool}")
    found, place = np.unique(nearest[np.argsort(nearness, kind="stable")], return_inverse=True)
    cuts = _cuts(len(nearest))
    weights = _multiplicities(place, cuts, len(found))
    share = 1 - held / pool
    variance = share * (1 - share) * pool / (pool - 1)
    deviation = np.sqrt(variance * np.maximum(np.sum(weights**2, 1) - cuts**2 / pool, 0))

    def excess(labels: np.ndarray) -> np.ndarray:
        difference = labels @ weights.T - share * cuts
        # Where every image of the pool is found as often as any other, labels cannot matter.
        standardised = np.divide(
            difference, deviation, out=np.zeros_like(difference), where=deviation > 1e-9
        )
        return np.asarray(standardised.max(axis=1))

    observed = float(excess(training[found][None].astype(np.float64))[0])
    rng = np.random.default_rng(seed)
    as_large = 0
    for drawn in _label_sets(rng, len(found), pool - held, held, sets):
        as_large += int(np.sum(excess(drawn) >= observed - 1e-9))
    return LabelTest(
        float(np.mean(training[nearest])),
        share,
        (1 + as_large) / (1 + sets),
        int(np.ceil(np.log(1 - CONFIDENCE) / np.log(share))),
    )


def _cuts(n: int) -> np.ndarray:
    cuts = [_FEWEST * 2**power for power in range(64) if _FEWEST * 2**power < n]
    return np.array([*cuts, n], dtype=np.float64)


def _multiplicities(place: np.ndarray, cuts: np.ndarray, found: int) -> np.ndarray:
    """How often each found image is the nearest among the first so many [cuts, found]."""
    return np.stack(
        [np.bincount(place[: int(cut)], minlength=found).astype(np.float64) for cut in cuts]
    )


def _label_sets(
    rng: np.random.Generator, found: int, training: int, held: int, sets: int
) -> Iterator[np.ndarray]:
    """Labels of the found images, drawn from the pool without replacement: 1 for training."""
    rows = max(1, _BLOCK_ELEMENTS // found)
    for start in range(0, sets, rows):
        count = min(rows, sets - start)
        number = rng.hypergeometric(training, held, found, size=count)
        ordered = (np.arange(found) < number[:, None]).astype(np.float64)
        yield rng.permuted(ordered, axis=1)
