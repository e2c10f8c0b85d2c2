"""The summary's metrics of diversity."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "equivalent_share": Metric(
        "M: classifiers of generated images do as well on real ones as those of 1/M of the real "
        "images; 0 where they do better than all of these, infinite where worse than the fewest",
        "lower",
        "1/share",
        headline=True,
    ),
    "equivalent_share_null": Metric(
        "the same of a classifier of 1/M of the real images, M being the first factor above 1, "
        "beside the others",
        "none",
        "1/share",
    ),
    "classifier_accuracy": Metric(
        "test accuracy on real images of classifiers of generated ones, mean over repeats (also "
        "called GAN-train and classification accuracy score); the interval is over test images",
        "higher",
        "of 1",
        headline=True,
        least=0.0,
        most=1.0,
    ),
    "classifier_accuracy_real": Metric(
        "the same of classifiers of real images, or of a part of them",
        "none",
        "of 1",
        least=0.0,
        most=1.0,
    ),
    "classifier_accuracy_both": Metric(
        "the same of classifiers of real and generated images together",
        "higher",
        "of 1",
        least=0.0,
        most=1.0,
    ),
    "classifier_train_accuracy": Metric(
        "accuracy on their own training images of classifiers of generated ones, mean over repeats",
        "none",
        "of 1",
    ),
    "classifier_train_accuracy_real": Metric(
        "the same of classifiers of real images", "none", "of 1"
    ),
    "classifier_class_accuracy": Metric(
        "test accuracy by class of classifiers of as many generated images as real ones, mean over "
        "repeats",
        "higher",
        "of 1",
    ),
    "classifier_class_accuracy_real": Metric(
        "the same of classifiers of all real images", "none", "of 1"
    ),
    "classifiers_not_converged": Metric(
        "classifiers whose training ended before it had converged, real ones among them",
        "lower",
        "count",
    ),
}
