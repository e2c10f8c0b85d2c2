"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "patch_correlation_pearson": Metric(
        "correlation of ln p(x) with that of the patch model; `against` with outliers pools them",
        "none",
        "correlation",
    ),
    "patch_correlation_spearman": Metric("the same of ranks", "none", "correlation"),
    "patch_top_overlap": Metric(
        "share of the patch_top_size images of highest ln p(x) that are also among the patch "
        "model's",
        "none",
        "share",
    ),
    "patch_top_size": Metric(
        "size of these top lists: 20, or half of the images if that is fewer", "none", "count"
    ),
    "patch_log_density_mean": Metric("mean ln p(x) under the patch model, nats", "none", "nats"),
}
