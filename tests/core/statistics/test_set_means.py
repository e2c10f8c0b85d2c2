import numpy as np
import pytest
from offmanifold.core.statistics.set_means import set_mean_interval


def test_the_interval_is_students() -> None:
    found = set_mean_interval([1.0, 2.0, 3.0], 500)
    half = 4.302652729911275 / np.sqrt(3)
    assert (found.value, found.low, found.high, found.n) == pytest.approx(
        (2.0, 2 - half, 2 + half, 500)
    )


def test_too_few_sets_have_a_mean_alone() -> None:
    assert np.isnan(set_mean_interval([1.0, 2.0], 500).low)
    assert np.isnan(set_mean_interval([1.0] * 5, 500).low)
    with pytest.raises(ValueError, match="all finite"):
        set_mean_interval([], 500)
