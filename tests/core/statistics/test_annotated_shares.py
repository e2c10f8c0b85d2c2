"""Shares corrected for an annotator's errors, and the test of what the correction assumes."""

import numpy as np
import pytest
from offmanifold.core.statistics.annotated_shares import (
    check_errors_alike,
    corrected_share_intervals,
    most_hidden,
    shares_by_inversion,
    shares_by_likelihood,
    shares_by_probabilities,
)
from offmanifold.core.statistics.class_shares import compare_shares
from scipy import stats

# An annotator that takes a quarter of class 2 for class 0, and hardly any the other way.
ERRS = np.array([[0.90, 0.08, 0.02], [0.02, 0.95, 0.03], [0.25, 0.05, 0.70]])
SHARES = np.array([0.2, 0.5, 0.3])
CENTRES = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 1.5]])


def answers(labels: np.ndarray, rng: np.random.Generator, spread: float = 1.0) -> np.ndarray:
    """Logits of an annotator that was trained on many more images of class 0, and is right so."""
    points = CENTRES[labels] + spread * rng.normal(size=(len(labels), 2))
    squares = ((points[:, None] - CENTRES) ** 2).sum(axis=-1)
    return -0.5 * squares + np.log([0.6, 0.2, 0.2])


@pytest.mark.parametrize("shares_of", [shares_by_inversion, shares_by_likelihood])
def test_exact_counts_give_the_shares_back(shares_of) -> None:
    confusion = (ERRS * 100).round().astype(np.int64)
    counts = (SHARES @ ERRS * 100_000).round().astype(np.int64)
    assert shares_of(counts, confusion) == pytest.approx(SHARES, abs=1e-4)
    assert not np.allclose(counts / counts.sum(), SHARES, atol=0.03)


@pytest.mark.parametrize("shares_of", [shares_by_inversion, shares_by_likelihood])
def test_an_absent_class_has_no_negative_share(shares_of) -> None:
    confusion = (ERRS * 100).round().astype(np.int64)
    counts = np.array([480, 520, 0])
    direct = np.linalg.solve(ERRS.T, counts / 1000)
    assert direct.min() < 0
    found = shares_of(counts, confusion)
    assert found.sum() == pytest.approx(1.0)
    assert found.min() >= 0
    assert found[2] == pytest.approx(0.0, abs=1e-3)


def test_calibrated_probabilities_give_the_shares_back() -> None:
    rng = np.random.default_rng(0)
    logits = answers(rng.choice(3, 5000, p=SHARES), rng)
    found = shares_by_probabilities(logits, np.array([0.6, 0.2, 0.2]))
    # Some four standard errors of a share of 5,000 images that overlap.
    assert found == pytest.approx(SHARES, abs=0.05)


def test_the_intervals_of_corrected_shares_hold() -> None:
    rng = np.random.default_rng(0)
    held = []
    for seed in range(60):
        confusion = np.stack([rng.multinomial(200, row) for row in ERRS])
        found = corrected_share_intervals(rng.multinomial(600, SHARES @ ERRS), confusion, seed)
        held.append(
            [each.low <= truth <= each.high for each, truth in zip(found, SHARES, strict=True)]
        )
    assert np.mean(held, axis=0).min() >= 0.95 - 4 * np.sqrt(0.05 * 0.95 / 60)


def test_an_honest_generator_is_acquitted_only_against_annotated_images() -> None:
    """An annotator with asymmetric errors: true labels convict an honest generator every time."""
    rng = np.random.default_rng(0)
    annotated, naive = [], []
    for seed in range(100):
        generated = answers(rng.choice(3, 500, p=SHARES), rng).argmax(axis=1)
        true = rng.choice(3, 500, p=SHARES)
        real = answers(true, rng).argmax(axis=1)
        counts = [np.bincount(each, minlength=3) for each in (generated, real, true)]
        annotated.append(compare_shares(counts[0], counts[1], seed).p_value < 0.05)
        naive.append(stats.chisquare(counts[0], SHARES * 500).pvalue < 0.05)
    assert np.mean(annotated) == pytest.approx(0.05, abs=4 * np.sqrt(0.05 * 0.95 / 100))
    assert np.mean(naive) == 1.0


def test_errors_alike_are_found_alike_whatever_the_shares() -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for seed in range(40):
        labels = rng.integers(0, 3, 400)
        generated = answers(rng.choice(3, 400, p=[0.6, 0.4, 0.0]), rng)
        p_values.append(check_errors_alike(generated, answers(labels, rng), labels, seed).p_value)
    assert np.mean(np.array(p_values) < 0.05) <= 0.05 + 4 * np.sqrt(0.05 * 0.95 / 40)
    assert np.mean(p_values) > 0.4


def test_images_that_the_annotator_is_surer_of_are_told_from_real_ones() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, 1000)
    generated = answers(rng.integers(0, 3, 1000), rng, spread=0.4)
    assert check_errors_alike(generated, answers(labels, rng), labels, 0).p_value < 0.01


def test_a_class_without_real_images_cannot_be_corrected() -> None:
    confusion = np.array([[5, 1], [0, 0]])
    with pytest.raises(ValueError, match="no real images of class 1"):
        shares_by_likelihood(np.array([3, 4]), confusion)


def test_what_an_annotator_hides_is_the_most_that_any_difference_loses() -> None:
    confusion = (ERRS * 100).round().astype(np.int64)
    rng = np.random.default_rng(0)
    first, second = rng.dirichlet(np.full(3, 0.3), (2, 20_000))
    lost = np.abs(first - second).sum(1) / np.abs((first - second) @ ERRS).sum(1)
    hidden = most_hidden(confusion)
    assert lost.max() <= hidden <= 1.01 * lost.max()
    assert most_hidden(np.diag([5, 7, 2])) == pytest.approx(1)
    # Two classes rightly told in 75%: half of a difference is seen.
    assert most_hidden(np.array([[75, 25], [25, 75]])) == pytest.approx(2)


@pytest.mark.parametrize(
    "confusion",
    [[[9, 0], [7, 0]], [[5, 5, 0], [5, 5, 0], [0, 0, 9]]],
    ids=["constant", "two alike"],
)
def test_an_annotator_that_answers_classes_alike_hides_everything(confusion) -> None:
    assert most_hidden(np.array(confusion)) == np.inf
