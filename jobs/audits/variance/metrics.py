"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "variance": Metric(
        "observation variance sigma^2 on [0, 1], of the data",
        "none",
        "squared, on [0, 1]",
        headline=True,
    ),
    "variance_control": Metric(
        "the same for the generator's own noise-free images", "none", "squared, on [0, 1]"
    ),
}
