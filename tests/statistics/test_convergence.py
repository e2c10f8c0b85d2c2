"""The recommended number of transitions, from gaps that are known."""

import numpy as np
import pytest
from offmanifold.core.statistics.bootstrap import Interval
from offmanifold.core.statistics.convergence import recommend_transitions

GAPS = {
    400: Interval(0.2, 0.1, 0.3, 8),
    100: Interval(0.9, 0.5, 1.4, 8),
    50: Interval(5.0, 2.0, 9.0, 8),
    200: Interval(0.5, 0.2, 0.99, 8),
}


@pytest.mark.parametrize(
    ("tolerance", "transitions"),
    [(20.0, 50), (9.0, 100), (1.4, 200), (1.0, 200), (0.99, 400), (0.31, 400), (0.3, None)],
)
def test_the_smallest_whose_whole_interval_is_under_the_tolerance(
    tolerance: float, transitions: int | None
) -> None:
    found = recommend_transitions(GAPS, tolerance)
    assert found.transitions == transitions
    assert found.gap == GAPS[transitions or 400]


def test_a_gap_without_an_interval_recommends_nothing() -> None:
    alone = Interval(0.1, np.nan, np.nan, 1)
    assert recommend_transitions({50: alone}, 1.0).transitions is None


def test_nothing_to_recommend_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="empty"):
        recommend_transitions({}, 1.0)
    with pytest.raises(ValueError, match="tolerance = 0"):
        recommend_transitions(GAPS, 0.0)
