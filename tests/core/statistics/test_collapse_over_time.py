"""Trends over checkpoints, and whether generators collapse onto the same classes."""

import numpy as np
import pytest
from offmanifold.core.statistics.collapse_over_time import concordance, dominant_classes, trend


def test_the_dominant_class_is_the_one_with_the_largest_ratio() -> None:
    real = np.array([600, 300, 100, 0])
    counts = np.array([[50, 20, 30, 0], [50, 45, 5, 0], [60, 30, 9, 1], [61, 30, 9, 0]])
    found = dominant_classes(counts, real)
    assert found.classes.tolist() == [2, 1, 0, 0]
    assert found.switches == 2


def test_a_straight_decline_is_its_whole_change() -> None:
    found = trend([10, 20, 40, 80, 100], 0.5 - 0.003 * np.array([10.0, 20, 40, 80, 100]))
    assert found.value == pytest.approx(-0.27)
    assert (found.low, found.high) == pytest.approx((-0.27, -0.27))


@pytest.mark.parametrize("memory", [0.0, 0.5])
def test_the_interval_of_a_trend_holds(memory: float) -> None:
    """Checkpoints whose scatter is remembered by the next one."""
    rng = np.random.default_rng(0)
    held = []
    for _ in range(400):
        noise = np.zeros(20)
        noise[0] = rng.normal() / np.sqrt(1 - memory**2)
        for each in range(1, 20):
            noise[each] = memory * noise[each - 1] + rng.normal()
        found = trend(range(20), 0.4 + 0.02 * noise - 0.1 * np.linspace(0, 1, 20))
        held.append(found.low <= -0.1 <= found.high)
    assert 0.90 < np.mean(held) < 0.99


def test_few_checkpoints_have_no_interval() -> None:
    assert np.isnan(trend([1, 2, 3], np.array([0.3, 0.2, 0.1])).low)


def test_w_is_kendalls() -> None:
    """Three judges of six subjects: W = 12 * 139 / 9 / 210 for these ranks, without ties."""
    ranks = np.array([[1, 6, 3, 2, 5, 4], [1, 5, 6, 2, 4, 3], [6, 3, 2, 5, 4, 1]], dtype=float)
    sums = ranks.sum(axis=0)
    expected = 12 * np.sum((sums - sums.mean()) ** 2) / (9 * (6**3 - 6))
    assert concordance(ranks, 0).w == pytest.approx(expected)


def test_the_same_classes_and_unrelated_ones() -> None:
    same = np.tile(np.arange(8.0), (4, 1))
    found = concordance(same, 0)
    assert found.w == pytest.approx(1.0)
    assert found.p_value < 0.001
    rng = np.random.default_rng(0)
    p_values = np.array([concordance(rng.random((3, 6)), each).p_value for each in range(60)])
    assert np.mean(p_values < 0.05) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 60)
