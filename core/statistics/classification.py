"""Generative classification: the class under which an image is most likely."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64


@dataclass(frozen=True)
class Classification:
    """The chosen class of each image, and how many images had a tie for it."""

    predicted: Int64[np.ndarray, " images"]
    ties: int


def classify(
    scores: Float64[np.ndarray, "images classes"],
    log_prior: Float64[np.ndarray, " classes"] | None = None,
) -> Classification:
    """Argmax over classes of ln p(x|c) + ln π_c; ties go to the lower class and are counted.

    ``scores`` may be any score that grows with the match (minus a reconstruction error); the
    prior then has no meaning and is left out.

    Raises:
        ValueError: no class, or a nan score.
    """
    if scores.shape[1] == 0:
        raise ValueError("scores has no classes: nothing to choose from")
    if np.isnan(scores).any():
        raise ValueError("scores holds nan: leave images with a failed class out first")
    total = scores if log_prior is None else scores + log_prior
    best = total.max(axis=1, keepdims=True)
    ties = int(np.sum(np.sum(total == best, axis=1) > 1))
    return Classification(predicted=total.argmax(axis=1).astype(np.int64), ties=ties)


def mean(values: np.ndarray) -> np.ndarray:
    """Mean over the last axis, the statistic of most intervals."""
    return np.asarray(np.mean(values, axis=-1))
