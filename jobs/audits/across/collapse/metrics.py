"""The summary's metrics of this audit."""

from ....reduce.schema import Metric

# n counts checkpoints, or generators; those of all generators together have no generator.
METRICS: dict[str, Metric] = {
    "dominant_class": Metric(
        "the class with the largest share over that among real images, both as annotated, of a "
        "checkpoint",
        "none",
        "class",
    ),
    "dominant_class_switches": Metric(
        "how often another class became dominant, over the checkpoints of a training up to this "
        "one",
        "none",
        "count",
    ),
    "class_total_variation_trend": Metric(
        "change of the total variation of annotated class shares from the training's first "
        "checkpoint to this one, by a straight line: below 0 where collapse recedes",
        "lower",
        "of 1",
    ),
    "shared_collapse": Metric(
        "Kendall's W of the generators' class share ratios, each against other real images: 1 "
        "where all favour the same classes",
        "none",
        "W",
    ),
    "shared_collapse_p_value": Metric(
        "its p-value: the larger of that under generators that favour classes independently of "
        "each other, by permutation, and that under generators that favour none, by simulation",
        "none",
        "probability",
    ),
}
