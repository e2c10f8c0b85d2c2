"""The summary's metrics of this audit."""

from ....reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "bits_per_dim_bound": Metric(
        "largest mean bits/dim (higher is denser) that the smallest known errors allow, on the "
        "same images",
        "none",
        "bits/dim",
    ),
    "log_likelihood_bound": Metric("the same as mean ln p(x), nats", "none", "nats"),
    "bound_violated": Metric(
        "1 if the group's bits/dim is above that bound, else 0", "lower", "share"
    ),
    "images_above_bound": Metric(
        "images whose bits/dim is above their own bound", "lower", "count"
    ),
}
