"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "variation_correlation_pearson": Metric(
        "correlation of ln p(x) with the local variation; `against` with outliers pools them",
        "none",
        "correlation",
    ),
    "variation_correlation_spearman": Metric("the same of ranks", "none", "correlation"),
    "local_variation_mean": Metric(
        "mean over images of standard deviation / mean in their 8x8 patches",
        "none",
        "ratio",
        least=0.0,
    ),
}
