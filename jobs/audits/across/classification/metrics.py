"""The summary's metrics of this audit."""

from ....reduce.schema import Metric
from ..outliers.scores import SCORES

METRICS: dict[str, Metric] = {
    "accuracy_likelihood": Metric(
        "accuracy of argmax_c ln p(x|c)", "higher", "share", headline=True
    ),
    "accuracy_reconstruction": Metric(
        "accuracy of argmin_c of the smallest known error", "higher", "share", headline=True
    ),
    "accuracy_reconstruction_lpips": Metric(
        "accuracy of argmin_c of the reconstruction's LPIPS", "higher", "share", headline=True
    ),
    "accuracy_neighbours": Metric(
        "accuracy of the nearest reference image's class, in pixels",
        "higher",
        "share",
        headline=True,
    ),
    "accuracy_neighbours_lpips": Metric(
        "the same, nearest in LPIPS", "higher", "share", headline=True
    ),
    **{
        f"accuracy_difference_{method}": Metric(
            f"accuracy_{method} minus that of the 1-NN in `against`, on the same images",
            "higher",
            "share",
        )
        for method in SCORES
    },
    **{
        f"accuracy_mcnemar_p_{method}": Metric(
            "p-value (McNemar, mid-p) of equal accuracies in that difference",
            "none",
            "p-value",
        )
        for method in SCORES
    },
    **{
        f"ties_{method}": Metric(
            "images with a tie between classes (lower class taken)", "none", "count"
        )
        for method in SCORES
    },
}
