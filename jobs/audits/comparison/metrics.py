"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "estimator_gap": Metric(
        "ln p(x) by `estimator` minus that by the one in `against`, nats, mean over images",
        "none",
        "nats",
    ),
    "estimator_gap_median": Metric("the same, median over images", "none", "nats"),
}
