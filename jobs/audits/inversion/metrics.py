"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "reconstruction_mse_mean": Metric(
        "smallest mean squared error that inversion or search found, mean over images",
        "lower",
        "squared, on [0, 1]",
    ),
    "reconstruction_mse_median": Metric(
        "the same, median over images", "lower", "squared, on [0, 1]", headline=True
    ),
    "psnr_of_mean_mse": Metric(
        "PSNR of the mean squared error's mean, dB", "higher", "dB", headline=True
    ),
    "psnr_mean": Metric(
        "mean over images of the PSNR, dB; at least psnr_of_mean_mse", "higher", "dB"
    ),
    "reconstruction_ratio": Metric(
        "median error over that of the generated images", "lower", "ratio"
    ),
    "search_beaten": Metric(
        "images whose inversion another stage's search beat by more than 1%; errors are the "
        "smallest found",
        "none",
        "count",
    ),
    "incomplete_images_inversion": Metric(
        "images left out of the comparison of classes because one failed", "lower", "count"
    ),
}
