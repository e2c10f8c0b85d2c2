"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

# By whom images are restored from measurements: an infix of the metrics' names.
SENSING_RESTORERS = {
    "": "of the restart with the smallest objective",
    "oracle_": "of the restart nearest to the truth, which only an oracle knows",
    "ppca_": "by probabilistic PCA from the same measurements, for any generator",
}
# ``against`` is the number of measurements, "m = 64".

METRICS: dict[str, Metric] = {
    **{
        f"sensing_{restorer}psnr_mean": Metric(
            f"mean PSNR of images restored from m measurements, dB, {meaning}",
            "none" if restorer == "ppca_" else "higher",
            "dB",
        )
        for restorer, meaning in SENSING_RESTORERS.items()
    },
    **{
        f"sensing_{restorer}psnr_of_mean_mse": Metric(
            f"PSNR of the mean squared error's mean, dB, {meaning}",
            "none" if restorer == "ppca_" else "higher",
            "dB",
        )
        for restorer, meaning in SENSING_RESTORERS.items()
    },
    "sensing_psnr_difference": Metric(
        "sensing_psnr_mean - sensing_ppca_psnr_mean on the same images, dB", "higher", "dB"
    ),
}
