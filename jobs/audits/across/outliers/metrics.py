"""The summary's metrics of this audit."""

from ....reduce.schema import Metric
from .scores import SCORES

METRICS: dict[str, Metric] = {
    "outlier_auc_likelihood": Metric(
        "AUC of -ln p(x), outlier positive", "higher", "share", headline=True
    ),
    "outlier_auc_likelihood_raised": Metric(
        "the same with the group that is less dense raised by how far its replicates lie apart",
        "none",
        "share",
    ),
    "outlier_auc_reconstruction": Metric(
        "AUC of the smallest known error, outlier positive", "higher", "share", headline=True
    ),
    "outlier_auc_reconstruction_lpips": Metric(
        "AUC of the reconstruction's LPIPS, outlier positive", "higher", "share", headline=True
    ),
    "outlier_auc_neighbours": Metric(
        "AUC of the 1-NN distance in pixels, outlier positive", "higher", "share", headline=True
    ),
    "outlier_auc_neighbours_lpips": Metric(
        "AUC of the 1-NN distance in LPIPS, outlier positive", "higher", "share", headline=True
    ),
    **{
        f"outlier_pairs_{method}": Metric(
            "pairs of an inlier and an outlier under one class behind the mean AUC",
            "none",
            "count",
        )
        for method in SCORES
    },
}
