"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "log_likelihood_mean": Metric(
        "mean ln p(x), nats, densities on [0, 1]; a lower bound in the mean", "higher", "nats"
    ),
    "bits_per_dim": Metric(
        "mean ln p(x) / (D ln 2) - 8, higher is better; a lower bound in the mean",
        "higher",
        "bits/dim",
        headline=True,
    ),
    "acceptance": Metric("mean Metropolis acceptance over transitions and chains", "none", "share"),
    "step_size": Metric("median of the chains' last step sizes", "none", "step"),
    "effective_sample_size": Metric(
        "mean effective number of chains in the estimate", "higher", "count"
    ),
    "evaluations": Metric(
        "mean generator evaluations for an image under one class", "lower", "count"
    ),
    "best_chain_share": Metric(
        "mean share of an estimate's weight that its best chain carries; at least 1/C",
        "lower",
        "share",
    ),
    "settled_share": Metric(
        "share of estimates that settled within the tolerance", "higher", "share"
    ),
    "modes": Metric(
        "mean number of distinct modes that the search kept, guided only", "none", "count"
    ),
    "prior_won_share": Metric(
        "share of estimates whose best chain started from the prior, not a mode, guided only",
        "lower",
        "share",
    ),
    "log_likelihood_upper": Metric(
        "mean upper bound on ln p(x) of simulated images, nats, by reversed chains; one in the "
        "mean",
        "none",
        "nats",
    ),
    "sandwich_gap": Metric(
        "upper - lower bound on simulated images, nats, mean", "lower", "nats", headline=True
    ),
    "sandwich_gap_median": Metric("the same, median over images", "lower", "nats"),
    "sandwich_gap_bits_per_dim": Metric("the mean in bits per dimension", "lower", "bits/dim"),
    "incomplete_images_likelihood": Metric(
        "images left out of the marginal because a class failed", "lower", "count"
    ),
}
