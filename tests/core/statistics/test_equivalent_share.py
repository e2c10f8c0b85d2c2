"""The headline "as diverse as 1/M of the data": the paper's own table, and intervals that hold."""

import numpy as np
import pytest
from offmanifold.core.statistics.equivalent_share import (
    EquivalentShare,
    crossing,
    equivalent_share,
)
from sklearn.isotonic import IsotonicRegression

# Test accuracies of linear models in Table 2 of Santurkar, Schmidt and Madry: of true data and its
# random parts, then of generated data.
CELEBA = (1, 64, 256, 512, 1024)
LSUN = (1, 512, 1024, 2048, 4096)
MALE = (CELEBA, (88.8, 88.7, 86.9, 83.8, 83.1))
SMILING = (CELEBA, (85.6, 85.0, 82.4, 80.0, 76.2))
BLACK_HAIR = (CELEBA, (76.5, 75.4, 72.6, 68.7, 65.4))
BEDROOM_KITCHEN = (LSUN, (64.1, 64.0, 64.0, 56.2, 55.1))


@pytest.mark.parametrize(
    ("task", "accuracy", "factor"),
    [
        (SMILING, 83.4, 150),
        (BLACK_HAIR, 73.7, 148),
        (BEDROOM_KITCHEN, 58.2, 1715),
        (SMILING, 80.1, 497),
        (BLACK_HAIR, 71.0, 340),
        (BEDROOM_KITCHEN, 60.0, 1461),
        # 256 * 2^(2.9 / 3.1) and 256 * 2^(0.2 / 3.1).
        (MALE, 84.0, 489.6),
        (MALE, 86.7, 267.7),
    ],
)
def test_the_papers_wgan_and_ali(
    task: tuple[tuple[int, ...], tuple[float, ...]], accuracy: float, factor: float
) -> None:
    assert crossing(*task, accuracy) == pytest.approx(factor, rel=0.004)


@pytest.mark.parametrize(
    ("task", "accuracy"),
    [(MALE, 79.2), (MALE, 78.0), (MALE, 75.6), (SMILING, 69.5), (SMILING, 70.2)],
)
def test_the_papers_generators_below_every_share_are_censored(
    task: tuple[tuple[int, ...], tuple[float, ...]], accuracy: float
) -> None:
    assert crossing(*task, accuracy) == np.inf


def test_a_curve_that_rises_by_chance_is_made_to_fall() -> None:
    rng = np.random.default_rng(0)
    factors = (1, 2, 4, 8, 16, 32)
    for _ in range(50):
        accuracies = rng.random(6)
        fitted = IsotonicRegression(increasing=False).fit_transform(np.arange(6), accuracies)
        for place in range(6):
            again = crossing(factors, accuracies.tolist(), float(fitted[place]))
            level = np.flatnonzero(np.isclose(fitted, fitted[place]))
            assert again == pytest.approx(factors[level[-1]])


def test_the_ends_of_the_curve() -> None:
    curve = ((1, 2, 4), (0.9, 0.8, 0.5))
    assert crossing(*curve, 0.95) == 0.0
    assert crossing(*curve, 0.9) == pytest.approx(1.0)
    assert crossing(*curve, 0.5) == pytest.approx(4.0)
    assert crossing(*curve, 0.49) == np.inf


@pytest.mark.parametrize("factors", [(1,), (2, 4), (1, 4, 2)])
def test_factors_that_make_no_curve_are_refused(factors: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="ascending"):
        crossing(factors, [0.5] * len(factors), 0.5)


def test_the_interval_holds_over_models_and_test_images() -> None:
    """Each image is right with a chance of its own, which all models share, and models differ."""
    rng = np.random.default_rng(0)
    factors, truth = (1, 4, 16, 64), (0.90, 0.84, 0.78, 0.70)
    accuracy = 0.81
    expected = crossing(factors, truth, accuracy)
    assert expected == pytest.approx(8.0)
    held = []
    for seed in range(80):
        easy = rng.normal(0, 0.08, 400)

        def models(count: int, level: float, easy: np.ndarray = easy) -> np.ndarray:
            own = rng.normal(0, 0.015, (count, 1))
            chance = np.clip(level + own + easy, 0, 1)
            return rng.random((count, 400)) < chance

        real = [models(2, level) for level in truth]
        found = equivalent_share(factors, real, models(3, accuracy), seed)
        held.append(found.low <= expected <= found.high)
    assert np.mean(held) == pytest.approx(0.95, abs=4 * np.sqrt(0.05 * 0.95 / 80))


def test_a_generator_as_good_as_the_data_is_not_said_to_be_worse() -> None:
    rng = np.random.default_rng(1)
    levels = (0.9, 0.7, 0.5)
    real = [rng.random((2, 500)) < level for level in levels]
    found = equivalent_share((1, 10, 100), real, rng.random((2, 500)) < 0.9, 0)
    assert found.low == 0.0
    assert 1 <= found.high < 10


def test_censored_headlines_in_words() -> None:
    assert str(EquivalentShare(np.inf, 700.0, np.inf, 1024, 500)) == "less than 1/1024"
    words = EquivalentShare(12.34, 0.0, 120.0, 1024, 500)
    assert (str(words), words.interval_in_words()) == ("1/12.3", "more than all to 1/120")


def test_one_model_of_each_has_no_interval() -> None:
    rows = [np.ones((1, 5), dtype=bool)] * 3
    with pytest.raises(ValueError, match="two models"):
        equivalent_share((1, 2, 4), rows, rows[0], 0)
