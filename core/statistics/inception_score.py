"""The inception score (Salimans et al. 2016) under any classifier: exp(E KL(p(y|x) || p(y)))."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy import special

# As in the paper that introduced the score, and in [CB].
SPLITS = 10


@dataclass(frozen=True)
class InceptionScore:
    """Mean and standard deviation (of the population, as is usual) over splits of ``n`` images.

    At least 1, where every image has the same probabilities; at most the number of classes, where
    all classes are equally common and no image is in doubt.
    """

    mean: float
    deviation: float
    splits: int
    n: int


def inception_score(
    logits: Float64[np.ndarray, "images classes"], splits: int = SPLITS
) -> InceptionScore:
    """The score of images with these logits, in the order they were drawn in.

    From logits and in float64: probabilities that were rounded to 0 have no logarithm, which gives
    nan in common libraries where a class is absent and the classifier sure.

    Raises:
        ValueError: fewer images than splits, or a logit that is no number.
    """
    if splits < 1 or len(logits) < splits:
        raise ValueError(f"{len(logits)} images in {splits} splits: each needs one at least")
    if not np.isfinite(logits).all():
        raise ValueError("logits that are no numbers: leave failed images out first")
    log_shares = special.log_softmax(logits, axis=1)
    scores = [float(np.exp(_divergence(part))) for part in np.array_split(log_shares, splits)]
    return InceptionScore(float(np.mean(scores)), float(np.std(scores)), splits, len(logits))


def _divergence(log_shares: np.ndarray) -> float:
    """Mean over images of KL(p(y|x) || p(y)), in nats; 0 ln 0 is 0."""
    shares = np.exp(log_shares)
    log_mean = special.logsumexp(log_shares, axis=0) - np.log(len(log_shares))
    return float((shares * (log_shares - log_mean)).sum(axis=1).mean())
