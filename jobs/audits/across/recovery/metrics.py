"""The summary's metrics of this audit."""

from ....reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "recovery_auc": Metric(
        "how often a `group` image comes back with a larger error than one `against` of its class "
        "(mean over classes, or of one class): 0.5 is no difference",
        "none",
        "share",
    ),
}
