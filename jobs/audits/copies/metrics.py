"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "copies_share": Metric(
        "estimated share of generated images that are copies of images `against`: training ones, "
        "or the placebo's, which cannot have been copied",
        "lower",
        "share",
        headline=True,
    ),
    "copies_class_share": Metric(
        "the same of generated images whose nearest training image in pixels is of a class, ranked "
        "among held-out images of which this is true",
        "lower",
        "share",
    ),
    "copies_p": Metric("p-value of no copies of images `against`", "none", "p-value"),
    "copies_detectable": Metric(
        "smallest share of copies that is found with a probability of 95%", "none", "share"
    ),
    "copies_found": Metric(
        "generated images that are copies, at a false discovery rate of 5%", "lower", "count"
    ),
    "copies_compared": Metric(
        "generated images that are compared with training images in a feature space",
        "none",
        "count",
    ),
    "copies_held_out": Metric("held-out images that they are ranked among", "none", "count"),
    "copies_shared": Metric(
        "held-out images that equal a training image in every pixel", "none", "count"
    ),
    "copies_shared_p": Metric(
        "p-value that at most 1% of the held-out images are training images, those aside that are "
        "as often equal among the training images themselves",
        "none",
        "p-value",
    ),
    "copies_seen": Metric(
        "share of planted copies, of the kind `against`, that are as near as counted ones",
        "none",
        "share",
    ),
    "copies_seen_by_view": Metric(
        "share of planted copies, of the kind `against`, or of generated images, whose p-value in "
        "the views of the kind `condition` is at most 1%",
        "none",
        "share",
    ),
    "copies_p_alike": Metric(
        "p-value that held-out images lie among training images as these among themselves",
        "none",
        "p-value",
    ),
    "nearer_p": Metric(
        "p-value of the exact test that generated images lie no nearer to training than to "
        "held-out images",
        "none",
        "p-value",
    ),
    "nearer_share": Metric(
        "share of generated images whose nearest real image is a training image", "none", "share"
    ),
    "nearer_expected": Metric("the same if training images are like any others", "none", "share"),
    "nearer_fewest": Metric(
        "fewer copies than this cannot be seen by the exact test", "none", "count"
    ),
    "data_copying": Metric(
        "C_T: below 0 where `group` images are nearer to training images than held-out ones",
        "none",
        "standard deviations",
    ),
    "data_copying_deviation": Metric(
        "standard deviation of C_T without copies, by permutation", "none", "standard deviations"
    ),
    "data_copying_p": Metric("p-value of so low a C_T, by permutation", "none", "p-value"),
    "authentic_share": Metric(
        "share of `group` images farther from their nearest training image than that is from its "
        "own nearest",
        "none",
        "share",
    ),
}
