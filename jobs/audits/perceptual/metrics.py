"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "reconstruction_lpips_mean": Metric(
        "LPIPS of the reconstruction, mean over images", "lower", "LPIPS", least=0.0
    ),
    "reconstruction_lpips_median": Metric("the same, median over images", "lower", "LPIPS"),
    "reconstruction_lpips_ratio": Metric(
        "median LPIPS over that of the generated", "lower", "ratio"
    ),
    "incomplete_images_perceptual": Metric("the same, of the perceptual stage", "lower", "count"),
}
