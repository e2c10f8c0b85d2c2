"""The inception score: by hand, at its ends, and where others give nan."""

import numpy as np
import pytest
from offmanifold.core.statistics.inception_score import inception_score


def test_it_is_what_a_hand_computation_gives_with_zeros() -> None:
    """Probabilities (1, 0), (0, 1) and (1/2, 1/2): KLs to (1/2, 1/2) are ln 2, ln 2 and 0."""
    logits = np.array([[0.0, -2000.0], [-2000.0, 0.0], [3.0, 3.0]])
    found = inception_score(logits, splits=1)
    assert found.mean == pytest.approx(np.exp(2 / 3 * np.log(2)), rel=1e-12)
    assert found.deviation == 0.0


def test_an_absent_class_and_saturated_logits_give_a_number() -> None:
    logits = np.zeros((100, 4))
    logits[np.arange(100), np.arange(100) % 2] = 1e6
    assert inception_score(logits).mean == pytest.approx(2.0)


def test_it_lies_between_1_and_the_number_of_classes() -> None:
    assert inception_score(np.tile([0.3, 5.0, -2.0], (20, 1))).mean == pytest.approx(1.0)
    sure = np.full((30, 3), -1e4)
    sure[np.arange(30), np.arange(30) % 3] = 0.0
    assert inception_score(sure).mean == pytest.approx(3.0)


def test_mean_and_deviation_are_those_of_the_splits() -> None:
    logits = np.random.default_rng(0).normal(0, 2, (103, 5))
    scores = []
    for part in np.array_split(logits, 10):
        shares = np.exp(part) / np.exp(part).sum(axis=1, keepdims=True)
        divergence = (shares * np.log(shares / shares.mean(axis=0))).sum(axis=1)
        scores.append(np.exp(divergence.mean()))
    found = inception_score(logits)
    assert (found.mean, found.deviation) == pytest.approx((np.mean(scores), np.std(scores)))
    assert (found.splits, found.n) == (10, 103)


@pytest.mark.parametrize("logits", [np.zeros((9, 2)), np.full((20, 2), np.nan)])
def test_what_has_no_score_is_refused(logits: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"splits|failed images"):
        inception_score(logits)
