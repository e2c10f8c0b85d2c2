"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "density_fit_mean": Metric(
        "mean of ln p(x|z) at the image's best mode z, under its own class", "none", "nats"
    ),
    "density_prior_mean": Metric("mean of ln p(z) there", "none", "nats"),
    "density_volume_mean": Metric(
        "mean logarithm of the volume of latents that explain the image as well", "none", "nats"
    ),
    "density_rest_mean": Metric(
        "mean of ln p(x) minus these three: further modes, and what Laplace's approximation misses",
        "none",
        "nats",
    ),
    "code_length_mean": Metric(
        "mean bits of the image in PNG's code, over its number of values",
        "none",
        "bits per value",
        least=0.0,
    ),
    "plain_auc": Metric(
        "AUC of -ln p(x) against the held-out images, of the images whose code length is known",
        "none",
        "share",
    ),
    "code_length_auc": Metric("the same of the code length alone", "none", "share"),
    "corrected_auc": Metric(
        "the same of -ln p(x) in bits minus the code length (Serra et al. 2020)", "none", "share"
    ),
    "unlike_share": Metric(
        "images whose density or corrected density has a two-sided p of at most 5% among held-out "
        "images",
        "none",
        "share",
    ),
    "unlike_found": Metric("of these, found at a false discovery rate of 5%", "none", "count"),
    "unlike_p": Metric(
        "p-value of as large a share where a group is like the held-out images", "none", "p-value"
    ),
}
