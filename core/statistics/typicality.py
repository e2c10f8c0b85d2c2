"""The typical-set test of Nalisnick et al. (2019), with disjoint halves of the model's samples."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64

from .bootstrap import MINIMUM_RESAMPLES, Interval, bootstrap_interval


@dataclass(frozen=True)
class TypicalitySettings:
    """Sets of ``set_size`` images, ``sets`` of them, and the quantile that they define."""

    set_size: int = 50
    sets: int = 2000
    quantile: float = 0.95

    def __post_init__(self) -> None:
        """Refuse values under which the quantile means nothing."""
        if self.set_size < 1:
            raise ValueError(f"set_size is {self.set_size}, expected at least 1")
        if self.sets < MINIMUM_RESAMPLES:
            raise ValueError(f"sets is {self.sets}, expected at least {MINIMUM_RESAMPLES}")
        if not 0 < self.quantile < 1:
            raise ValueError(f"quantile is {self.quantile}, expected a number between 0 and 1")


@dataclass(frozen=True)
class TypicalBand:
    """Sets whose mean ln p lies within ``epsilon`` nats of ``-entropy`` are typical."""

    entropy: float
    epsilon: float
    samples: int

    @property
    def low(self) -> float:
        """Lowest typical mean ln p, in nats."""
        return -self.entropy - self.epsilon

    @property
    def high(self) -> float:
        """Highest typical mean ln p, in nats."""
        return -self.entropy + self.epsilon


@dataclass(frozen=True)
class Typicality:
    """Deviation of a group's mean ln p from the model's own, in nats, and what follows.

    A positive deviation: the group is denser than the model's samples are.
    """

    deviation: Interval
    band: TypicalBand
    atypical: bool


def typical_band(
    log_density: Float64[np.ndarray, " samples"], seed: int, settings: TypicalitySettings
) -> TypicalBand:
    """Entropy from one half of the model's own samples, epsilon from the other.

    Ĥ = -mean ln p over a random half; ε = the quantile of |-mean_M ln p - Ĥ| over bootstrap sets
    of M images of the other half. With one set for both the test gives some 18% false alarms at
    a nominal 5%, because the set means then centre on Ĥ itself.

    Raises:
        ValueError: fewer than four samples, or a nan density.
    """
    if len(log_density) < 4:
        raise ValueError(
            f"{len(log_density)} samples of the model: the typical set needs at least 4, "
            "and some hundred for a steady band"
        )
    _refuse_nan(log_density)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(log_density))
    middle = len(order) // 2
    entropy = -float(np.mean(log_density[order[:middle]]))
    others = log_density[order[middle:]]
    drawn = rng.integers(0, len(others), size=(settings.sets, settings.set_size))
    distance = np.abs(-others[drawn].mean(axis=1) - entropy)
    epsilon = float(np.quantile(distance, settings.quantile))
    return TypicalBand(entropy=entropy, epsilon=epsilon, samples=len(log_density))


def assess_typicality(
    log_density: Float64[np.ndarray, " images"],
    band: TypicalBand,
    seed: int,
    *,
    resamples: int = MINIMUM_RESAMPLES,
) -> Typicality:
    """Whether a group's mean ln p falls outside the band, with an interval on its deviation.

    The interval is a bootstrap over the group's images with the band held fixed: it says how
    sure the group's mean is, while epsilon already holds the spread of the model's own sets.

    Raises:
        ValueError: no images, or a nan density.
    """
    _refuse_nan(log_density)
    deviation = bootstrap_interval(
        log_density,
        lambda values: np.mean(values, axis=-1) + band.entropy,
        seed,
        resamples=resamples,
    )
    return Typicality(deviation, band, atypical=abs(deviation.value) > band.epsilon)


def _refuse_nan(log_density: np.ndarray) -> None:
    if np.isnan(log_density).any():
        bad = int(np.isnan(log_density).sum())
        raise ValueError(f"log_density holds {bad} nan values: leave failed images out first")
