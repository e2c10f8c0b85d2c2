"""Are images typical of a model? Their log densities against those of the model's own samples.

After Nalisnick et al. (2019), with what their test leaves out: sets of the same size on both sides,
the uncertainty of the reference and of a fitted observation variance, and the whole distribution of
ln p beside its mean. With a fitted variance an untrained model's mean is right for pure noise.
"""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import stats

from ..settings.statistics import MINIMUM_RESAMPLES
from .interval import Interval
from .means import mean_difference_interval
from .two_sample import NO_SHIFT, Shift, TwoSampleTest, compare_samples

# A set whose mean lies within this share of one image's own spread is typical for all purposes.
MARGIN_SHARE = 0.5
# A reference below this size is too unsteady to judge by.
MINIMUM_REFERENCE = 16


@dataclass(frozen=True)
class Typicality:
    """How a group's ln p differs from that of the model's samples, in nats.

    ``deviation`` is the difference of the means; positive where the group is denser than the
    model's samples are. ``spread`` is the standard deviation of one sample's ln p.
    """

    deviation: Interval
    spread: float
    test: TwoSampleTest

    @property
    def margin(self) -> float:
        """Deviations of no more than this count as typical."""
        return MARGIN_SHARE * self.spread


def assess_typicality(
    log_density: Float64[np.ndarray, " images"],
    reference: Float64[np.ndarray, " samples"],
    seed: int,
    *,
    shift: Shift = NO_SHIFT,
    failed: int = 0,
    resamples: int = MINIMUM_RESAMPLES,
) -> Typicality:
    """Holds a group's log densities against those of the model's own samples.

    Args:
        log_density: of the images, nats.
        reference: of images simulated from the model under the same variance.
        seed: of permutations and resamples.
        shift: what an error of the fitted variance may move the difference by.
        failed: images of the group whose density is not known.
        resamples: of the deviation's interval.

    Raises:
        ValueError: fewer than two densities on a side, or one that is not finite.
    """
    test = compare_samples(log_density, reference, seed, shift=shift, failed=failed)
    sampled = mean_difference_interval(log_density, reference, seed, resamples=resamples)
    deviation = widened(sampled, shift)
    return Typicality(deviation, float(reference.std(ddof=1)), test)


def widened(interval: Interval, shift: Shift) -> Interval:
    """An interval with another, independent error in it, added in squares on each side."""
    other = shift.standard_error * float(stats.t.ppf(0.975, shift.freedom))
    low = interval.value - math.hypot(interval.value - interval.low, other)
    high = interval.value + math.hypot(interval.high - interval.value, other)
    return Interval(interval.value, low, high, interval.n)


def variance_shift(
    dimensions: int, degrees: float, log_standard_error: float, images: int
) -> Shift:
    """The shift between data and model samples by the error of a variance fitted to other images.

    The data's mean ln p is stationary in the variance that fits them; the entropy of the model's
    samples moves by (D - d) / 2 nats for each unit of ln sigma^2.

    Args:
        dimensions: D.
        degrees: d, the effective degrees of freedom of the latent.
        log_standard_error: of ln sigma^2.
        images: how many it was fitted to.
    """
    freedom = float(max(images - 1, 1))
    return Shift((dimensions - degrees) / 2 * log_standard_error, freedom)


def images_needed(reference: int) -> int | None:
    """Training images, half of them to fit the variance, from which a set can be called typical.

    As many as bring the deviation's 95% interval to half of the margin on either side, where the
    images are the model's own: one of them has a standard deviation of 1, the fitted variance adds
    that of its half over the square root of its size. None where the reference is too small for
    any number.
    """
    allowed = (MARGIN_SHARE / 2 / 1.96) ** 2 - 1 / reference
    return math.ceil(4 / allowed) if allowed > 0 else None
