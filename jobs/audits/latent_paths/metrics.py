"""The summary's metrics of paths along the latent."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "path_dwell": Metric(
        "how much nearer a path's images are to images `against` while little happens than while "
        "they move, in [-1, 1]; as many held-out as training images, chosen at random. Not where "
        "over 5% of points have no image of a kind among the 50 nearest of the pool",
        "none",
        "(A - B) / (A + B)",
        least=-1.0,
        most=1.0,
    ),
    "path_dwell_excess": Metric(
        "mean over paths of the dwelling at training images less that at held-out images, all of "
        "them; where none of a kind is among the 50 nearest of both, by the distance of the last",
        "lower",
        "(A - B) / (A + B)",
    ),
    "path_dwell_p": Metric(
        "p-value that it does not matter which images are training images, by exchanging the "
        "labels",
        "none",
        "p-value",
    ),
    "path_dwell_blind": Metric(
        "share of the exchanges of labels that leave all images nearest to the paths training "
        "images: where it is over 0.05, even a perfect memoriser can be missed",
        "none",
        "share",
    ),
    "path_p_alike": Metric(
        "p-value that held-out images lie among training images as these among themselves",
        "none",
        "p-value",
    ),
    "path_usable": Metric("paths whose images are all finite", "none", "count"),
    "path_switches": Metric(
        "mean number of changes of the nearest image `against` along a path; as many held-out as "
        "training images. Not where `path_dwell` is not",
        "none",
        "changes a path",
        least=0.0,
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
