"""The summary's metrics of this audit."""

from ....reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "class_correlation_pearson": Metric(
        "correlation of ln p(x|a) with ln p(x|b), mean over all pairs of classes",
        "lower",
        "correlation",
    ),
    "class_correlation_spearman": Metric("the same of ranks", "lower", "correlation"),
}
