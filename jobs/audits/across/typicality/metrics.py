"""The summary's metrics of this audit."""

from ....reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "typicality_deviation": Metric(
        "mean ln p(x) minus that of the model's samples `against`, nats; nearer to 0 is better",
        "none",
        "nats",
        headline=True,
    ),
    "typicality_margin": Metric(
        "deviations up to this many nats count as typical: half of one sample's spread",
        "none",
        "nats",
    ),
    "typicality_p_mean": Metric(
        "p-value of equal means of ln p(x), by permutation, including the variance's error",
        "none",
        "p-value",
    ),
    "typicality_p_shape": Metric(
        "the same for equal shapes about the mean, by the energy distance", "none", "p-value"
    ),
}
