"""How often each interval of the summary covers what it stands for; writes docs/intervals.md.

    python -m tests.core.statistics.coverage [--replicates 1000]

Proportions are enumerated exactly, the rest is simulated. A thousand replicates take some 25
minutes of a core and leave a standard error of 0.7 points.
"""

import argparse
from fnmatch import fnmatchcase
from pathlib import Path

from offmanifold.jobs.audits import METRICS

from .interval_cases import cases

PAGE = Path(__file__).parents[3] / "docs" / "intervals.md"

# Which interval a metric has, by patterns of its name; the first that fits.
INTERVALS = {
    "psnr_of_mean_mse": "mean of the squared errors, in dB",
    "sensing_*psnr_of_mean_mse": "mean of the squared errors, in dB",
    "reconstruction_mse_mean": "mean",
    "reconstruction_lpips_mean": "mean",
    "psnr_mean": "mean",
    "log_likelihood_mean": "mean",
    "bits_per_dim": "mean",
    "bits_per_dim_bound": "mean",
    "log_likelihood_bound": "mean",
    "log_likelihood_upper": "mean",
    "sensing_*psnr_mean": "mean",
    "sensing_psnr_difference": "mean",
    "acceptance": "mean",
    "effective_sample_size": "mean",
    "evaluations": "mean",
    "best_chain_share": "mean",
    "modes": "mean",
    "sandwich_gap": "mean",
    "sandwich_gap_bits_per_dim": "mean",
    "estimator_gap": "mean",
    "patch_log_density_mean": "mean",
    "local_variation_mean": "mean",
    "density_*_mean": "mean",
    "code_length_mean": "mean",
    "doubling_change": "mean",
    "replicate_difference": "mean",
    "replicate_difference_median": "median",
    "probe_found_share": "proportion",
    "sweep_log_likelihood": "mean",
    "sweep_shortfall": "mean",
    "sweep_sandwich_gap": "mean",
    "typicality_deviation": "difference of means, the variance's error added",
    "density_lead*": "leads, all at once",
    "reconstruction_mse_median": "median",
    "reconstruction_lpips_median": "median",
    "step_size": "median",
    "sandwich_gap_median": "median",
    "estimator_gap_median": "median",
    "reconstruction*_ratio": "ratio of medians",
    "accuracy_difference_*": "paired difference",
    "accuracy_mcnemar_p_*": "none, a p-value",
    "accuracy_*": "proportion",
    "settled_share": "proportion; mean where an image has a share of its own",
    "prior_won_share": "proportion; mean where an image has a share of its own",
    "outlier_auc_*": "AUC, or mean AUC over classes",
    "*_auc": "AUC, or mean AUC over classes",
    "*_correlation_*": "correlation, or mean of correlations",
    "patch_top_overlap": "none: no interval of it would hold",
    "class_total_variation": "total variation",
    "effective_classes*": "entropy; a description",
    "class_share_ratio": "ratio of proportions",
    "class_share_corrected": "bootstrap over images",
    "class_share": "proportion",
    "unlike_share": "proportion",
    "unlike_p": "none, a p-value",
    "class_share_real": "proportion",
    "annotator_test_accuracy": "proportion",
    "annotator_alone_accuracy": "proportion",
    "label_correctness": "proportion",
    "annotator_inception_score*": "none: no interval of it would hold",
    "classifier_accuracy*": "mean",
    "equivalent_share*": "crossing of a curve",
    "class_total_variation_trend": "line through checkpoints",
    "path_dwell": "mean",
    "path_switches": "mean",
    "path_jump_share": "mean",
    "path_largest_step": "mean",
    "path_dwell_p": "none, a p-value",
    "object_area": "mean",
    "object_area_ratio": "ratio of means ([objects](objects.md))",
    "object_presence": "proportion",
    "object_presence_ratio": "ratio of proportions",
    "copies_share": "share of copies ([copies](copying.md))",
    "copies_class_share": "share of copies ([copies](copying.md))",
    "copies_seen": "proportion",
    "authentic_share": "proportion",
    "support_chance": "two-sided Poisson, of collisions ([copies](copying.md))",
    "support_size": "two-sided Poisson, of collisions ([copies](copying.md))",
    "frechet_distance": "Student's over independent sets ([copies](copying.md))",
    "kernel_distance": "Student's over independent sets ([copies](copying.md))",
    "manifold_*": "Student's over independent sets ([copies](copying.md))",
    "prd_*": "Student's over independent sets; not simulated",
    "*_p_*": "none, a p-value",
    "*": "none: a count, a setting or a verdict",
}

TEXT = """# Intervals

Every interval in a summary or a report should cover the true value in 95 of 100 runs with other
images. This page says how each is made and how often it did so in simulation. The command

    python -m tests.core.statistics.coverage --replicates {replicates}

writes this page again. The standard error of a simulated cell is {error:.1f} points at 95%; cells
for proportions and paired differences are exact.

## How each is made

- **Mean** (`core/statistics/means.py`): the union of a bootstrap-t interval, Hall's interval
  (bootstrap-t after a cubic that removes the skewness) and Student's interval. Each of them alone
  misses too often for some data. Below 16 images there is a mean but no interval. Nor is there one
  if nearly all values are equal, because resamples then do not vary.
- **Leads** (`leads.py`): the likeliest group is chosen from the data, so its leads come from
  simultaneous intervals for all pairs that a leader could be in (Tukey's if all groups are alike,
  Dunnett's if one is far ahead, by bootstrap-t).
- **Median** (`medians.py`): interpolated order statistics (Hettmansperger and Sheather). It needs 6
  images. **Ratio of medians**: both intervals on a log scale, combined by MOVER.
- **Proportion** (`proportions.py`): the mid-p interval. **Paired difference**: Tango's score
  interval, together with McNemar's mid-p value.
- **AUC** (`outliers.py`, `auc_bounds.py`): DeLong's variance, averaged with a binomial one if few
  images determine it, in Jeffreys' interval; the exact bound if the groups separate completely. A
  mean over classes adds up each image's contributions in all its classes, and also states the
  number of pairs behind it (`outlier_pairs_*`).
- **Correlation** (`correlation.py`): the jackknife on Fisher's scale, with fewer degrees of freedom
  if few images decide it. There is no interval below 10 images, or for a perfect correlation.
- **Total variation** (`class_shares.py`): the distances under which the observed one is not
  extreme. **Entropy**, exp(H): Miller's correction and a normal interval. **Ratio of proportions**:
  Koopman's score interval. **Corrected shares** (`annotated_shares.py`): a percentile bootstrap.
- **Crossing of a curve** (`equivalent_share.py`): test images weighed anew, and each mean over
  classifiers moved by Student's t. It is censored at all of the data and at the fewest tried. With
  classifiers that are really trained it covered in 119 of 120 repeats
  ([results](results/classifiers.md#do-the-intervals-hold)).
- **Line through checkpoints** (`collapse_over_time.py`): least squares and Student's t, widened
  for checkpoints that are like their neighbours. It needs five, and is not in the tables below:
  95/97/98/97% of 6, 10, 20 and 50 unlike checkpoints, 89/88/92/94% where neighbouring ones
  correlate by .5. Where they correlate by .8, 17/18/12% of trainings of 6, 10 and 20
  checkpoints without any trend are said to recede or grow. It is a description, and no verdict
  rests on it.
- **Overlap of top lists**: no interval. Whether an image is in a list depends on all the others,
  and a resample that contains an image twice puts it into both lists twice.

Failed images have no value. Intervals of AUCs, accuracies, medians and ratios of medians cover both
extremes: all failed images at one end, and all at the other. The value itself comes from the images
that succeeded. Means use only images that succeeded, because a failed one could be anywhere.

## Where 95% is out of reach

- Counts are whole numbers, so a proportion's coverage jumps between 92 and 99%. A paired difference
  covers up to 98% if 2 to 4 images are expected to differ, and up to 100% if fewer are.
- **5% of images 30 standard deviations low**: 44% of samples of 16 images contain none of them, and
  19% of samples of 32. Such a sample gives no sign of what it lacks, so no method can know. At 200
  images the interval is wider than necessary.
- **Log-normal with s = 1.5**: 90 to 94%. Much of its mean comes from values that few samples of
  this size contain.
- AUCs of .97 and more: up to 100%, because most samples separate completely or nearly so, and the
  bound must cover those that do not. Means over classes of one or two images: up to 99%.
- The mean over pairs of correlations between unrelated classes, for 16 images with a joint heavy
  tail: 91 to 92%.
- exp(H) of shares covers 88% at 50 images with one class of .7 beside nine, and 90% at 200 images
  of two classes of .6 and .4; elsewhere 94 to 98%, and 99 to 100% of equal classes. It is a
  description in the report, and no verdict rests on it.
- The median of whole numbers covers more than 95%, because of equal values.
- Leads of groups with the same skewness cover up to 100% at 16 images: the skewness cancels in
  their differences, which a small resample does not show.

## Which interval a metric has

{metrics}

All intervals treat images as random draws from what the group represents. They do not include the
randomness of the generator's training, of the restarts or of the chains.

## Coverage, %

{tables}
"""


def interval_of(metric: str) -> str:
    """What the page says of a metric's interval."""
    return next(words for pattern, words in INTERVALS.items() if fnmatchcase(metric, pattern))


def metric_table() -> str:
    """The metrics of each interval, as a Markdown table."""
    by_interval: dict[str, list[str]] = {}
    for metric in METRICS:
        if not metric.startswith("failed_rows_"):
            by_interval.setdefault(interval_of(metric), []).append(f"`{metric}`")
    by_interval[INTERVALS["*"]].append("`failed_rows_*`")
    lines = [f"| {words} | {', '.join(names)} |" for words, names in by_interval.items()]
    return "\n".join(["| interval | metrics |", "|---|---|", *lines])


def coverage_tables(replicates: int) -> str:
    """Every case, measured: a Markdown table for each interval."""
    found: dict[str, dict[str, dict[str, str]]] = {}
    for case in cases():
        cell = str(case.measure(replicates))
        print(f"{case.interval}, {case.data}, {case.images} images: {cell}", flush=True)
        found.setdefault(case.interval, {}).setdefault(case.data, {})[case.images] = cell
    return "\n\n".join(_table(interval, rows) for interval, rows in found.items())


def _table(interval: str, rows: dict[str, dict[str, str]]) -> str:
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    head = [f"| {interval} | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    lines = [
        f"| {data} | " + " | ".join(row.get(name, "") for name in columns) + " |"
        for data, row in rows.items()
    ]
    return "\n".join([*head, *lines])


def main() -> None:
    """Measure everything and write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--replicates", type=int, default=1000)
    replicates = parser.parse_args().replicates
    text = TEXT.format(
        replicates=replicates,
        error=100 * (0.95 * 0.05 / replicates) ** 0.5,
        metrics=metric_table(),
        tables=coverage_tables(replicates),
    )
    PAGE.write_text(text)


if __name__ == "__main__":
    main()
