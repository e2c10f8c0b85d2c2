"""The summary's metrics of paths along the latent."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "path_dwell": Metric(
        "how much nearer a path's images are to images `against` while little happens than while "
        "they move, in [-1, 1]; as many held-out as training images, chosen at random",
        "none",
        "(A - B) / (A + B)",
    ),
    "path_dwell_excess": Metric(
        "mean over paths of the dwelling at training images less that at held-out images, all of "
        "them",
        "lower",
        "(A - B) / (A + B)",
        headline=True,
    ),
    "path_dwell_p": Metric(
        "p-value that it does not matter which images are training images, by exchanging the "
        "labels",
        "none",
        "p-value",
    ),
    "path_p_alike": Metric(
        "p-value that held-out images lie among training images as these among themselves",
        "none",
        "p-value",
    ),
    "path_switches": Metric(
        "mean number of changes of the nearest image `against` along a path; as many held-out as "
        "training images",
        "none",
        "changes a path",
    ),
    "path_jump_share": Metric(
        "mean share of a path's length in jumps, steps over ten times one of their neighbours",
        "none",
        "share",
    ),
    "path_largest_step": Metric(
        "mean of a path's largest step over its mean step", "none", "mean steps"
    ),
}
