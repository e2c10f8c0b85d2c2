"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "sweep_log_likelihood": Metric(
        "mean ln p(x) of a sample at the number of transitions that `against` names, nats; a lower "
        "bound in the mean",
        "higher",
        "nats",
    ),
    "sweep_shortfall": Metric(
        "mean ln p(x) at the most transitions tried minus that at the number in `against`, nats",
        "lower",
        "nats",
    ),
    "sweep_sandwich_gap": Metric(
        "upper - lower bound on simulated images at the transitions of `against`, nats",
        "lower",
        "nats",
    ),
    "sweep_sandwich_gap_high": Metric(
        "upper 95% bound of the 90% quantile of that gap's size, nats; null under 29 images",
        "lower",
        "nats",
    ),
    "recommended_transitions": Metric(
        "fewest of the tried transitions from which on the gap's interval and the bound of its "
        "high quantile are under `against` nats; null if there are none, or under 32 images",
        "none",
        "count",
    ),
}
