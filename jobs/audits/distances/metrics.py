"""The summary's metrics of this audit."""

from ...reduce.schema import Metric

# Each of a set of `group` images against as many real ones; `condition` is the space.
METRICS: dict[str, Metric] = {
    "frechet_distance": Metric(
        "FID's formula on the features of sets of n `group` and of real images, in the space "
        "`condition`: biased upwards, so read it beside that of group real",
        "lower",
        "squared features",
        headline=True,
        least=0.0,
    ),
    "kernel_distance": Metric(
        "KID: the unbiased squared MMD of features, with a cubic kernel", "lower", "squared MMD"
    ),
    "manifold_precision": Metric(
        "share of `group` images in the ball of a real one, up to its third neighbour",
        "higher",
        "share",
        least=0.0,
        most=1.0,
    ),
    "manifold_recall": Metric(
        "share of real images in the ball of one of `group`, up to its third neighbour",
        "higher",
        "share",
        least=0.0,
        most=1.0,
    ),
    "manifold_density": Metric(
        "real balls, up to the fifth neighbour, that one of `group` lies in, over 5; rewards "
        "typical images",
        "none",
        "balls over 5",
        least=0.0,
    ),
    "manifold_coverage": Metric(
        "share of real images with one of `group` in their ball, up to the fifth neighbour",
        "higher",
        "share",
        least=0.0,
        most=1.0,
    ),
    "prd_precision": Metric(
        "F1/8 of the curve of precision and recall of distributions",
        "higher",
        "share",
        least=0.0,
        most=1.0,
    ),
    "prd_recall": Metric(
        "F8 of the curve of precision and recall of distributions",
        "higher",
        "share",
        least=0.0,
        most=1.0,
    ),
}
