"""Typicality: false alarms at their nominal rate, with a fitted variance too; what it sees."""

import math

import numpy as np
import pytest
from offmanifold.core.statistics.interval import Interval
from offmanifold.core.statistics.two_sample import (
    NO_SHIFT,
    Shift,
    compare_samples,
    energy_distance,
)
from offmanifold.core.statistics.typicality import (
    assess_typicality,
    images_needed,
    variance_shift,
    widened,
)
from scipy import stats

SETS = 400
DIMENSIONS = 300


def log_density(rng: np.random.Generator, n: int, variance: float = 1.0) -> np.ndarray:
    """ln p of n samples of N(0, variance I) under a model of variance 1, up to its constant."""
    return -0.5 * variance * rng.chisquare(DIMENSIONS, size=n)


def false_alarms(images: int, reference: int, fitted: int | None, rounds: int) -> float:
    """Of a right model, its variance known or fitted to so many other images."""
    rng = np.random.default_rng(0)
    alarms = 0
    for number in range(rounds):
        estimate, shift = 1.0, NO_SHIFT
        if fitted is not None:
            estimate = rng.chisquare(DIMENSIONS * fitted) / (DIMENSIONS * fitted)
            error = math.sqrt(2 / (DIMENSIONS * fitted))
            shift = variance_shift(DIMENSIONS, 0.0, error, fitted)
        mine = -0.5 * rng.chisquare(DIMENSIONS, size=images) / estimate
        own = -0.5 * rng.chisquare(DIMENSIONS, size=reference)
        alarms += compare_samples(mine, own, number, shift=shift, sets=SETS).p_value < 0.05
    return alarms / rounds


@pytest.mark.parametrize(("images", "reference", "fitted"), [(32, 64, None), (32, 64, 32)])
def test_false_alarms_are_at_most_nominal(images: int, reference: int, fitted: int | None) -> None:
    rounds = 400
    rate = false_alarms(images, reference, fitted, rounds)
    assert rate < 0.05 + 3 * math.sqrt(0.05 * 0.95 / rounds)


def test_without_the_shift_a_fitted_variance_gives_false_alarms() -> None:
    rng = np.random.default_rng(1)
    alarms = 0
    for number in range(200):
        estimate = rng.chisquare(DIMENSIONS * 16) / (DIMENSIONS * 16)
        mine = -0.5 * rng.chisquare(DIMENSIONS, size=32) / estimate
        own = -0.5 * rng.chisquare(DIMENSIONS, size=64)
        alarms += compare_samples(mine, own, number, sets=SETS).p_mean < 0.05
    assert alarms / 200 > 0.2


def test_a_shape_is_seen_though_the_mean_is_right() -> None:
    rng = np.random.default_rng(2)
    own = rng.normal(0, 20, size=256)
    wide = rng.normal(0, 60, size=64)
    found = compare_samples(wide, own, 0, shift=Shift(30.0, 31.0))
    assert found.p_shape < 0.01
    assert compare_samples(own[:64] + 500, own[64:], 0).p_shape > 0.05


def test_the_energy_distance_is_that_of_all_pairs() -> None:
    rng = np.random.default_rng(3)
    first, second = rng.normal(size=7), rng.exponential(size=11)

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.abs(a[:, None] - b).mean())

    pairs = 2 * apart(first, second) - apart(first, first) - apart(second, second)
    assert energy_distance(first, second) == pytest.approx(pairs)
    assert energy_distance(first, second) == pytest.approx(
        stats.energy_distance(first, second) ** 2
    )


def test_the_deviation_has_the_sign_of_the_density_and_the_variance_in_its_interval() -> None:
    rng = np.random.default_rng(4)
    own = log_density(rng, 400)
    denser = assess_typicality(log_density(rng, 100) + 5, own, 0)
    spread = math.sqrt(DIMENSIONS / 2)
    assert denser.deviation.value == pytest.approx(5, abs=4 * spread * math.sqrt(1 / 100 + 1 / 400))
    assert denser.spread == pytest.approx(spread, rel=0.2)
    assert denser.margin == denser.spread / 2
    uncertain = assess_typicality(log_density(rng, 100) + 5, own, 0, shift=Shift(10.0, 31.0))
    assert uncertain.deviation.low < denser.deviation.low - 10
    assert uncertain.test.p_mean > denser.test.p_mean


def test_widening_adds_in_squares() -> None:
    wide = widened(Interval(0.0, -3.0, 6.0, 5), Shift(4 / 1.959964))
    assert (wide.low, wide.high) == pytest.approx((-5, math.hypot(6, 4)), rel=1e-5)


def test_failed_images_count_at_either_end() -> None:
    rng = np.random.default_rng(5)
    own = log_density(rng, 200)
    mine = log_density(rng, 60) - 12
    assert compare_samples(mine, own, 0).p_mean < 0.01
    assert compare_samples(mine, own, 0, failed=30).p_mean > 0.05


def test_the_number_of_images_is_one_at_which_a_right_model_is_called_typical() -> None:
    assert images_needed(32) is None
    needed = images_needed(256)
    assert needed is not None
    rng = np.random.default_rng(6)
    half = needed // 2
    shift = variance_shift(DIMENSIONS, 0.0, math.sqrt(2 / (DIMENSIONS * half)), half)
    found = assess_typicality(log_density(rng, half), log_density(rng, 256), 0, shift=shift)
    width = (found.deviation.high - found.deviation.low) / 2
    assert width == pytest.approx(found.margin / 2, rel=0.25)


def test_bad_samples_are_named() -> None:
    with pytest.raises(ValueError, match="first holds 1 values"):
        compare_samples(np.zeros(1), np.zeros(5), 0)
    with pytest.raises(ValueError, match="second holds"):
        compare_samples(np.zeros(3), np.array([0.0, math.nan]), 0)
