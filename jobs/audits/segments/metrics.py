"""The summary's metrics of objects."""

from ...reduce.schema import Metric

# `condition` is the class of objects.
METRICS: dict[str, Metric] = {
    "object_area": Metric(
        "mean share of an image's pixels that the segmenter says are of the class `condition`, of "
        "`group` images",
        "none",
        "share",
        least=0.0,
        most=1.0,
    ),
    "object_presence": Metric(
        "share of `group` images that have the class `condition` at all", "none", "share"
    ),
    "object_area_ratio": Metric(
        "mean area of the class `condition` in generated over that in real images",
        "none",
        "ratio",
        headline=True,
    ),
    "object_presence_ratio": Metric(
        "share of generated over that of real images that have the class `condition` at all",
        "none",
        "ratio",
    ),
}
