"""The summary's metrics of this audit."""

from ....reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "density_lead": Metric(
        "mean ln p(x) of the likeliest group minus that of `against`, nats", "none", "nats"
    ),
    "density_lead_given": Metric("the same without the model's own images", "none", "nats"),
}
