"""The summary's metrics of this audit."""

from ....reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "bits_per_dim_bound": Metric(
        "mean bits/dim that the least errors known allow at the most, on the same images",
        "none",
        "bits/dim",
    ),
    "bound_violated": Metric(
        "1 if the group's bits/dim lies above that bound, else 0", "lower", "share"
    ),
    "images_above_bound": Metric(
        "images whose own bits/dim lies above their own bound", "lower", "count"
    ),
}
