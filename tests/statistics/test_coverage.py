"""Long simulations: tests alarm as often as they say; `-s` prints it."""

import numpy as np
import pytest
from offmanifold.core.statistics.typicality import (
    TypicalitySettings,
    assess_typicality,
    typical_band,
)
from scipy import stats


def expected_alarms(samples: int, settings: TypicalitySettings) -> float:
    """False alarms of the typical band for normal densities, by quadrature over both halves.

    Both halves' means, h and o, have variance 1 / (n/2) about the model's. Epsilon is the quantile
    of |N(o - h, 1/M)|, and a set whose mean is N(0, 1/M) alarms where |mean - h| exceeds it.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    nodes, weights = nodes * np.sqrt(2 / samples), weights / weights.sum()
    h, o = nodes[:, None], nodes[None, :]
    spread = 1 / np.sqrt(settings.set_size)
    non_centrality = ((o - h) / spread) ** 2
    epsilon = spread * np.sqrt(stats.ncx2.ppf(settings.quantile, 1, non_centrality))
    typical = stats.norm.cdf((h + epsilon) / spread) - stats.norm.cdf((h - epsilon) / spread)
    return float(1 - weights @ typical @ weights)


def alarm_rate(samples: int, settings: TypicalitySettings, repeats: int) -> float:
    """How often sets of the model's own images are atypical; ln p of 20 normal dimensions."""
    rng = np.random.default_rng(2)
    alarms = 0
    for repeat in range(repeats):
        own, group = (-0.5 * rng.chisquare(20, size=size) for size in (samples, settings.set_size))
        band = typical_band(own, repeat, settings)
        alarms += assess_typicality(group, band, repeat).atypical
    return alarms / repeats


@pytest.mark.slow
@pytest.mark.parametrize("samples", [200, pytest.param(1000, marks=pytest.mark.ci), 4000])
def test_false_alarms_are_as_many_as_the_band_promises(samples: int) -> None:
    settings, repeats = TypicalitySettings(), 1000
    rate, expected = alarm_rate(samples, settings, repeats), expected_alarms(samples, settings)
    print(f"typicality, {samples} samples: {rate:.2%} false alarms, {expected:.2%} expected")
    assert abs(rate - expected) < 4 * np.sqrt(expected * (1 - expected) / repeats)
    # What the two halves' own chance adds to or takes from the nominal 5% is small.
    assert abs(expected - 0.05) < 0.01
