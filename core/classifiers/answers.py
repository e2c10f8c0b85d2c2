"""What a trained classifier says of images, batch by batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from scipy.special import softmax
from torch import Tensor

from .classifier import Labeller
from .labelled_images import LabelledImages


@dataclass(frozen=True)
class Answers:
    """Logits [images, classes] in float64 of some images, and the classes they came with."""

    logits: Float64[np.ndarray, "images classes"]
    labels: Int64[np.ndarray, " images"]

    @property
    def predicted(self) -> Int64[np.ndarray, " images"]:
        """The class of the largest logit; the lower one of equal ones."""
        return np.asarray(self.logits.argmax(axis=1), dtype=np.int64)


def answer_in_batches(
    classifier: Labeller, images: LabelledImages, batch_size: int
) -> Iterator[Answers]:
    """The classifier's answers in the order of the images; no more than a batch is held."""
    classifier.eval()
    for start in range(0, len(images.labels), batch_size):
        indices = np.arange(start, min(start + batch_size, len(images.labels)), dtype=np.int64)
        yield Answers(logits_of(classifier, images.batch(indices)), images.labels[indices])


def logits_of(classifier: Labeller, images: Tensor) -> Float64[np.ndarray, "images classes"]:
    """Logits in float64; the classifier is left in evaluation mode."""
    classifier.eval()
    with torch.no_grad():
        logits: np.ndarray = classifier(images).to(torch.float64).cpu().numpy()
    return logits


def confusion_counts(
    labels: Int64[np.ndarray, " images"], predicted: Int64[np.ndarray, " images"], classes: int
) -> Int64[np.ndarray, "classes classes"]:
    """How many images of each class (row) were taken for each class (column)."""
    flat = np.bincount(labels * classes + predicted, minlength=classes * classes)
    return flat.reshape(classes, classes).astype(np.int64)


def confidence_counts(
    logits: Float64[np.ndarray, "images classes"], bins: int = 20
) -> Int64[np.ndarray, " bins"]:
    """How many images have a largest probability in each of ``bins`` equal parts of [0, 1].

    The upper edge belongs to the last bin: a confidence that rounds to 1 is in it.
    """
    confidence = softmax(logits, axis=1).max(axis=1)
    return np.histogram(confidence, bins=bins, range=(0.0, 1.0))[0].astype(np.int64)
