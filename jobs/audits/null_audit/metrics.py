"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "variance_null": Metric("the same for the null audit's images", "none", "squared, on [0, 1]"),
    "typicality_p_null": Metric(
        "p-value of deviating from the reference like the null audit's images", "none", "p-value"
    ),
    "reconstruction_p_null": Metric(
        "p-value of errors distributed like those of the null audit's images", "none", "p-value"
    ),
    "latent_square": Metric(
        "mean square of the values of the inversion's latents, before their polish; 1 is what the "
        "prior expects",
        "none",
        "ratio",
    ),
    "latent_p_null": Metric(
        "p-value of latents as long as those of the null audit's images", "none", "p-value"
    ),
    "residual_structure": Metric(
        "mean squared cosine between the residuals of two images, times their number of values; 1 "
        "for white noise",
        "none",
        "ratio",
    ),
    "residual_p_null": Metric(
        "p-value of residuals that have no more in common than the null audit's", "none", "p-value"
    ),
}
