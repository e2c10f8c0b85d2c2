"""Precision and recall of distributions (Sajjadi et al. 2018), from clusters of features."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float64

CLUSTERS = 20
RUNS = 10
ANGLES = 1001
# Where the curve is read off: F8 weighs recall, F1/8 precision.
_BETA = 8.0


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """Pairs of precision and recall from one end to the other, and what the curve is read off at.

    ``recall_score`` is F8, ``precision_score`` F1/8.
    """

    precision: Float64[np.ndarray, " angles"]
    recall: Float64[np.ndarray, " angles"]

    @property
    def recall_score(self) -> float:
        """F8: the curve's best where recall counts eight times."""
        return self._best(_BETA)

    @property
    def precision_score(self) -> float:
        """F1/8: the curve's best where precision counts eight times."""
        return self._best(1 / _BETA)

    def _best(self, beta: float) -> float:
        precision, recall = self.precision, self.recall
        below = beta**2 * precision + recall
        score = np.divide(
            (1 + beta**2) * precision * recall, below, out=np.zeros_like(below), where=below > 0
        )
        return float(score.max())


def curve_of_histograms(
    generated: Float64[np.ndarray, " bins"], real: Float64[np.ndarray, " bins"]
) -> PrecisionRecallCurve:
    """alpha(l) = sum min(l p, q), beta(l) = sum min(p, q / l), of real shares p, generated q.

    At slopes l = tan of `ANGLES` angles from 0 to a right one (Sajjadi et al. 2018, Algorithm 1):
    alpha is precision, beta recall.

    Raises:
        ValueError: shares that do not add up to 1.
    """
    for name, shares in (("generated", generated), ("real", real)):
        if abs(float(shares.sum()) - 1) > 1e-9 or (shares < 0).any():
            raise ValueError(f"{name} shares add up to {shares.sum()}: expected shares of 1")
    end = 1e-10
    slope = np.tan(np.linspace(end, np.pi / 2 - end, ANGLES))[:, None]
    precision = np.minimum(slope * real, generated).sum(axis=1)
    recall = np.minimum(real, generated / slope).sum(axis=1)
    return PrecisionRecallCurve(np.clip(precision, 0, 1), np.clip(recall, 0, 1))


def precision_recall_curve(
    generated: Float[np.ndarray, "generated features"],
    real: Float[np.ndarray, "real features"],
    seed: int,
) -> PrecisionRecallCurve:
    """The mean over `RUNS` clusterings of the union into `CLUSTERS` by k-means.

    The larger set is thinned to the size of the smaller one, whose number it must not outweigh in
    the clusters.

    Raises:
        ValueError: fewer images than clusters.
    """
    n = min(len(generated), len(real))
    if n < CLUSTERS:
        raise ValueError(f"{n} images: expected at least {CLUSTERS}, one for each cluster")
    # Half a second, which not every command that knows the audit has to wait for.
    from sklearn.cluster import MiniBatchKMeans

    rng = np.random.default_rng(seed)
    chosen = [rng.choice(len(each), n, replace=False) for each in (generated, real)]
    union = np.concatenate([generated[chosen[0]], real[chosen[1]]]).astype(np.float64)
    curves = []
    for run in range(RUNS):
        cluster = MiniBatchKMeans(CLUSTERS, n_init=10, random_state=seed + run).fit(union).labels_
        shares = [np.bincount(part, minlength=CLUSTERS) / n for part in (cluster[:n], cluster[n:])]
        curves.append(curve_of_histograms(*shares))
    return PrecisionRecallCurve(
        np.mean([curve.precision for curve in curves], axis=0),
        np.mean([curve.recall for curve in curves], axis=0),
    )
