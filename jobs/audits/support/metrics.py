"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "support_chance": Metric(
        "chance of two images of `group` to be near-duplicates: the sum of p^2 over images",
        "none",
        "share",
    ),
    "support_size": Metric(
        "effective support: of as many equally likely images two would be duplicates as often",
        "higher",
        "images",
        headline=True,
    ),
    "support_pairs": Metric("near-duplicate pairs", "none", "count"),
    "support_threshold": Metric(
        "distance up to which a pair counts as near-duplicate, from real images", "none", "l2"
    ),
    "support_p_more": Metric(
        "p-value that pairs are duplicates no more often than those of the real images `against`",
        "none",
        "p-value",
    ),
    "support_p_twice": Metric(
        "p-value that pairs are duplicates at least twice as often as those of the real images "
        "`against`",
        "none",
        "p-value",
    ),
    "support_batch": Metric(
        "smallest batch that holds a near-duplicate with a chance of one half", "higher", "images"
    ),
}
