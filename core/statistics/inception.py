"""The inception score under a classifier (Salimans et al. 2016)."""

import numpy as np
from jaxtyping import Float, Float64
from scipy import special

SPLITS = 10


def inception_scores(
    logits: Float[np.ndarray, "images classes"], splits: int = SPLITS
) -> Float64[np.ndarray, " splits"]:
    """exp(E KL(p(y|x) || p(y))) of each of so many parts of the images in a row; 1 to classes.

    In float64 from logits: a saturated classifier, or a class that no image has, is no nan.

    Raises:
        ValueError: fewer images than parts, or a logit that is nan.
    """
    if not 1 <= splits <= len(logits) or np.isnan(logits).any():
        raise ValueError(
            f"{len(logits)} images in {splits} parts: expected at least one each, and no nan"
        )
    log_share = special.log_softmax(logits.astype(np.float64), axis=1)
    scores = []
    # The parts' bounds are those of torch-fidelity, also where the number does not divide.
    for part in np.split(log_share, np.arange(1, splits) * len(logits) // splits):
        share = np.exp(part)
        marginal = share.mean(axis=0)
        # x ln x is 0 at 0: classes that no image has count nothing.
        entropy = -special.xlogy(marginal, marginal).sum()
        conditional = np.where(share > 0, share * part, 0.0).sum(axis=1).mean()
        scores.append(np.exp(entropy + conditional))
    return np.array(scores)
