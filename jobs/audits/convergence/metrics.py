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
    "probe_found_share": Metric(
        "share of images in which a second search of another law found 0.5 nats or more of "
        "evidence that the first had missed, guided only",
        "lower",
        "share",
    ),
    "replicate_difference": Metric(
        "mean difference of ln p(x), nats, of a replicate, which has other seeds, minus the "
        "reported estimate",
        "none",
        "nats",
    ),
    "replicate_difference_median": Metric("median size of such differences, nats", "lower", "nats"),
    "replicate_difference_high": Metric(
        "upper 95% bound of the 90% quantile of their sizes, nats; null under 29 images",
        "lower",
        "nats",
    ),
    "replicate_difference_max": Metric("the largest of their sizes, nats", "lower", "nats"),
}
