from typing import Any

import numpy as np
import pytest
from offmanifold.core.statistics.typicality import (
    TypicalitySettings,
    assess_typicality,
    typical_band,
)

SETTINGS = TypicalitySettings()


def log_density(rng: np.random.Generator, n: int) -> np.ndarray:
    """ln p of n samples of a 20-dimensional standard normal, up to its constant."""
    return -0.5 * rng.chisquare(20, size=n)


def false_alarms(samples: int, repeats: int, shared: bool) -> float:
    rng = np.random.default_rng(0)
    alarms = 0
    for repeat in range(repeats):
        own = log_density(rng, samples)
        group = log_density(rng, SETTINGS.set_size)
        if shared:
            drawn = rng.choice(own, size=(SETTINGS.sets, SETTINGS.set_size))
            epsilon = np.quantile(np.abs(drawn.mean(axis=1) - own.mean()), SETTINGS.quantile)
            alarms += abs(group.mean() - own.mean()) > epsilon
        else:
            band = typical_band(own, seed=repeat, settings=SETTINGS)
            alarms += abs(group.mean() + band.entropy) > band.epsilon
    return alarms / repeats


def test_false_alarms_are_near_five_percent_with_disjoint_halves() -> None:
    repeats = 600
    rate = false_alarms(samples=400, repeats=repeats, shared=False)
    # The band moves with its own halves, which adds up to 2% to the nominal 5% here.
    assert abs(rate - 0.06) < 4 * np.sqrt(0.06 * 0.94 / repeats)


def test_one_shared_set_gives_clearly_more_false_alarms() -> None:
    repeats = 600
    shared = false_alarms(samples=50, repeats=repeats, shared=True)
    assert shared > 0.05 + 6 * np.sqrt(0.05 * 0.95 / repeats)
    disjoint = false_alarms(samples=50, repeats=repeats, shared=False)
    assert disjoint < shared - 3 * np.sqrt(0.18 * 0.82 / repeats)


def test_band_of_a_known_density() -> None:
    rng = np.random.default_rng(1)
    band = typical_band(log_density(rng, 40_000), seed=0, settings=SETTINGS)
    # ln p has mean -10 and variance 10; a mean of 50 has standard deviation sqrt(10/50).
    assert abs(band.entropy - 10) < 4 * np.sqrt(10 / 20_000)
    assert abs(band.epsilon / (1.96 * np.sqrt(10 / 50)) - 1) < 0.1
    assert band.low == -band.entropy - band.epsilon
    assert band.high == -band.entropy + band.epsilon


def test_deviation_has_the_sign_of_the_density() -> None:
    rng = np.random.default_rng(2)
    band = typical_band(log_density(rng, 2000), seed=0, settings=SETTINGS)
    denser = assess_typicality(log_density(rng, 100) + 5, band, seed=0)
    assert denser.atypical
    assert denser.deviation.low > band.epsilon
    assert abs(denser.deviation.value - 5) < 4 * np.sqrt(10 / 100 + 10 / 1000)
    own = assess_typicality(log_density(rng, 2000), band, seed=0)
    assert not own.atypical


@pytest.mark.parametrize(
    ("key", "settings"),
    [("set_size", {"set_size": 0}), ("sets", {"sets": 10}), ("quantile", {"quantile": 1.5})],
)
def test_settings_are_checked(key: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=key):
        TypicalitySettings(**settings)


def test_bad_samples_are_named() -> None:
    with pytest.raises(ValueError, match="at least 4"):
        typical_band(np.zeros(3), seed=0, settings=SETTINGS)
    with pytest.raises(ValueError, match="1 nan"):
        typical_band(np.array([0.0, 1.0, np.nan, 2.0]), seed=0, settings=SETTINGS)
