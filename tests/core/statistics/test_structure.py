"""What residuals have in common: nothing for noise, and an exact test of it."""

import numpy as np
import pytest
from offmanifold.core.statistics.structure import common_structure, compare_structure


def test_noise_has_nothing_in_common() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=(60, 400))
    # A squared cosine has mean 1/K and a relative standard deviation of sqrt(2); 1770 pairs.
    assert common_structure(noise) * 400 == pytest.approx(1, abs=4 * np.sqrt(2 / 1770))


def test_a_shared_direction_is_seen_and_length_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(30, 400))
    shifted = rng.normal(size=(30, 400)) + 0.3
    assert compare_structure(shifted, noise, 0) < 0.01
    assert compare_structure(100 * shifted, noise, 0) < 0.01
    assert compare_structure(noise, shifted, 0) > 0.9


def test_false_alarms_are_nominal() -> None:
    rng = np.random.default_rng(2)
    rounds = 300
    alarms = sum(
        compare_structure(rng.normal(size=(20, 50)), rng.normal(size=(30, 50)), number, sets=200)
        <= 0.05
        for number in range(rounds)
    )
    assert alarms / rounds == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / rounds))


def test_a_residual_of_nothing_has_nothing_in_common() -> None:
    assert common_structure(np.zeros((3, 4))) == 0
    with pytest.raises(ValueError, match="1 residuals"):
        common_structure(np.zeros((1, 4)))
    with pytest.raises(ValueError, match="second holds 1"):
        compare_structure(np.zeros((3, 4)), np.zeros((1, 4)), 0)
