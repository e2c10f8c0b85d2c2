"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "doubling_change": Metric(
        "mean change of ln p(x), nats, when what `against` names is doubled", "lower", "nats"
    ),
    "doubling_change_high": Metric(
        "upper 95% bound of the 90% quantile of such changes' sizes, nats; null under 29 images",
        "lower",
        "nats",
    ),
    "doubling_change_max": Metric(
        "size of the largest such change of an image, nats", "lower", "nats"
    ),
}
