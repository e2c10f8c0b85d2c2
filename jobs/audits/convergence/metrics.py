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
        "share of images whose best mode a second search of another law bettered by 0.5 nats of "
        "evidence or more, guided only",
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
