"""The summary's metrics of class shares."""

from ...reduce.schema import Metric

METRICS: dict[str, Metric] = {
    "annotator_train_accuracy": Metric(
        "share of the images that it learned from that the annotator labels rightly",
        "none",
        "of 1",
    ),
    "annotator_test_accuracy": Metric(
        "share of held-out real images that the annotator labels rightly", "none", "of 1"
    ),
    "annotator_alone_accuracy": Metric(
        "the same of each annotator that was trained where several attributes make the classes: of "
        "one attribute, of all classes, and of every attribute at once by those of one; the better "
        "of the last two labels the images",
        "none",
        "of 1",
    ),
    "class_total_variation": Metric(
        "total variation between the class shares of generated and of held-out real images, both "
        "as annotated",
        "lower",
        "of 1",
        headline=True,
    ),
    "class_total_variation_floor": Metric(
        "its mean where there is no difference, from the sizes of the samples", "none", "of 1"
    ),
    "class_total_variation_reach": Metric(
        "what it exceeds in 5% of samples where there is no difference", "none", "of 1"
    ),
    "class_total_variation_hidden": Metric(
        "how many times as large that of the true classes may be, by the annotator's errors on "
        "held-out real images; not there where it gives images of some classes the same labels",
        "none",
        "ratio",
    ),
    "class_shares_chi_squared": Metric("Pearson's statistic of the same two samples", "none", "1"),
    "class_shares_p_value": Metric(
        "its p-value under no difference, by permutation", "none", "probability"
    ),
    "class_shares_null_p_value": Metric(
        "the same p-value of one half of the held-out real images against the other",
        "none",
        "probability",
    ),
    "class_shares_data_p_value": Metric(
        "the same p-value of the true classes of the images that the annotator learned from "
        "against those of the held-out ones",
        "none",
        "probability",
    ),
    "effective_classes": Metric(
        "exp(H) of the annotated shares of generated images: how many equally likely classes would "
        "be as diverse (a description: its interval covers 88% in the worst case that was tried)",
        "higher",
        "classes",
    ),
    "effective_classes_real": Metric("the same of held-out real images", "none", "classes"),
    "class_share": Metric("share of generated images that are annotated so", "none", "of 1"),
    "class_share_real": Metric("the same of held-out real images", "none", "of 1"),
    "class_share_ratio": Metric("the first over the second", "none", "ratio"),
    "class_share_corrected": Metric(
        "share of generated images of the class, corrected for the annotator's errors on real "
        "ones; it holds as far as errors on generated images are alike",
        "none",
        "of 1",
    ),
    "annotator_likeness_p_value": Metric(
        "p-value of the annotator's answers on generated images being a mixture of those on real "
        "classes: a small one speaks against corrected shares",
        "none",
        "probability",
    ),
    "label_correctness": Metric(
        "share of generated images that are annotated as the class that they were asked for or "
        "are known to be of (also called GAN-test)",
        "higher",
        "of 1",
        headline=True,
    ),
    "annotator_inception_score": Metric(
        "inception score of generated images under the annotator, mean over 10 splits",
        "higher",
        "classes",
    ),
    "annotator_inception_score_real": Metric("the same of held-out real images", "none", "classes"),
}
