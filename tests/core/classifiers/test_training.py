"""Training converges where it should, and stands where it was put down."""

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from offmanifold.core.classifiers.answers import (
    answer_in_batches,
    confidence_counts,
    confusion_counts,
)
from offmanifold.core.classifiers.architectures import build_classifier
from offmanifold.core.classifiers.labelled_images import StoredImages
from offmanifold.core.classifiers.training import ClassifierTraining
from offmanifold.core.settings.classifiers import TRAINING, ClassifierSettings
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

QUICK = replace(TRAINING["linear"], batch_size=50, round_batches=20, most_rounds=60)


def overlapping(count: int) -> tuple[StoredImages, np.ndarray]:
    """Two classes of six pixels each that no line separates."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, count)
    pixels = rng.normal(0.5, 0.2, (count, 6)) + 0.1 * labels[:, None] * np.arange(6) / 3
    images = torch.from_numpy(pixels.clip(0, 1).astype(np.float32)).view(-1, 1, 2, 3)
    return StoredImages(images, labels), pixels.clip(0, 1)


def trained(settings: ClassifierSettings) -> ClassifierTraining:
    images, _ = overlapping(1000)
    training = ClassifierTraining(
        build_classifier("linear", (1, 2, 3), 2, 0), images, settings, seed=1
    )
    while not training.finished:
        training.advance(64)
    return training


def test_the_linear_model_reaches_the_optimum_that_another_library_finds() -> None:
    images, pixels = overlapping(1000)
    training = trained(replace(QUICK, tolerance=1e-3))
    assert training.progress.converged
    (answers,) = answer_in_batches(training.classifier, images, 1000)
    found = answers.logits[:, 1] - answers.logits[:, 0]
    reference = LogisticRegression(C=1e6).fit(pixels, images.labels)
    expected = reference.decision_function(pixels)
    assert np.abs(found - expected).max() < 0.1 * np.abs(expected).max()
    assert np.mean((found > 0) == (expected > 0)) > 0.98


def test_the_rate_falls_by_ten_as_often_as_stated_and_then_training_ends() -> None:
    progress = trained(QUICK).progress
    assert progress.converged
    assert sorted(set(progress.rates), reverse=True) == pytest.approx([0.01, 0.001, 0.0001])
    # The last rounds, as many as the patience, did not lower the loss by the tolerance.
    assert min(progress.losses[-3:]) > (1 - QUICK.tolerance) * min(progress.losses)


def test_training_that_runs_out_of_rounds_says_that_it_did_not_converge() -> None:
    training = trained(replace(QUICK, most_rounds=2))
    assert training.finished
    assert not training.progress.converged
    assert len(training.progress.losses) == 2


@pytest.mark.parametrize("architecture", ["linear", "resnet32"])
def test_training_goes_on_where_it_was_put_down_in_the_middle_of_a_round(
    architecture: str,
) -> None:
    digits = load_digits()
    images = StoredImages(
        torch.from_numpy(digits.images[:60, None] / 16).to(torch.float32),
        digits.target[:60].astype(np.int64),
    )
    settings = replace(TRAINING[architecture], batch_size=16, round_batches=5)

    def start() -> ClassifierTraining:
        classifier = build_classifier(architecture, (1, 8, 8), 10, 3)
        return ClassifierTraining(classifier, images, settings, seed=4)

    whole = start()
    whole.advance(14)
    first = start()
    first.advance(6)
    kept = io.BytesIO()
    torch.save(first.state(), kept)
    kept.seek(0)
    second = start()
    second.restore(torch.load(kept, weights_only=True))
    second.advance(8)
    assert second.progress == whole.progress
    expected = whole.classifier.state_dict()
    for name, value in second.classifier.state_dict().items():
        assert torch.equal(value, expected[name]), name


def test_every_pass_shows_every_image_once() -> None:
    class Watched(StoredImages):
        def __init__(self) -> None:
            super().__init__(torch.rand(53, 1, 2, 3), np.arange(53) % 2)
            self.asked: list[np.ndarray] = []

        def batch(self, indices: np.ndarray) -> torch.Tensor:
            self.asked.append(indices)
            return super().batch(indices)

    images = Watched()
    settings = replace(QUICK, batch_size=10, round_batches=12)
    classifier = build_classifier("linear", (1, 2, 3), 2, 0)
    training = ClassifierTraining(classifier, images, settings, seed=0)
    training.advance(12)
    assert training.progress.round == 1
    # The first six were asked for to standardise by.
    batches = images.asked[6:]
    assert {len(each) for each in batches} == {8, 9}
    passes = [np.concatenate(batches[:6]), np.concatenate(batches[6:])]
    assert all(np.array_equal(np.sort(each), np.arange(53)) for each in passes)
    assert not np.array_equal(passes[0], passes[1])


def test_a_training_that_diverges_says_so() -> None:
    settings = replace(QUICK, learning_rate=1e38)
    with pytest.raises(FloatingPointError, match="smaller learning_rate"):
        trained(settings)


def test_labels_that_are_no_class_are_refused() -> None:
    images = StoredImages(torch.rand(4, 1, 2, 3), np.array([0, 1, 2, 1]))
    classifier = build_classifier("linear", (1, 2, 3), 2, 0)
    with pytest.raises(ValueError, match="classes 0 to 1"):
        ClassifierTraining(classifier, images, QUICK, seed=0)


def test_confusion_counts_have_the_true_class_in_rows() -> None:
    counts = confusion_counts(np.array([0, 0, 2, 2, 2]), np.array([0, 1, 2, 2, 0]), 3)
    assert counts.tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 2]]


def test_confidences_of_1_are_in_the_last_bin() -> None:
    logits = np.array([[0.0, 0.0], [50.0, 0.0], [0.0, 1e5], [0.0, np.log(3)]])
    counts = confidence_counts(logits, bins=4)
    assert counts.tolist() == [0, 0, 1, 3]
