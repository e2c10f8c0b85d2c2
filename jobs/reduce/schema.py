"""The summary table: its Arrow schema, and every metric's name, meaning and direction."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Literal

import pyarrow as pa

from ...core.statistics.bootstrap import Interval
from ...workers.schema import SCHEMAS

Direction = Literal["higher", "lower", "none"]

# Values of the column ``condition``; it is null where no class condition is involved.
MARGINAL = "marginal"  # ln p(x) over equally likely classes, or of an unconditional generator
OWN = "own"  # each image under its own class; outliers take the classes in turn
PER_CLASS_MEAN = "per class mean"  # a statistic of each class, averaged over classes
NEAREST_CLASS = "nearest class"  # the smallest reconstruction error over classes
EVERY_CLASS = "every class"  # a choice among the classes, or all pairs of them

# A value of ``against``: the group together with every outlier group. No group can have its space.
WITH_OUTLIERS = "with outliers"

# What the convergence stage doubles; a value of the column ``against`` there.
DOUBLED = ("transitions", "chains", "restarts")

_COLUMNS: "list[pa.Field[pa.DataType]]" = [
    pa.field("metric", pa.string(), nullable=False),
    pa.field("generator", pa.string()),
    pa.field("condition", pa.string()),
    pa.field("group", pa.string()),
    pa.field("against", pa.string()),
    pa.field("estimator", pa.string()),
    pa.field("value", pa.float64()),
    pa.field("low", pa.float64()),
    pa.field("high", pa.float64()),
    pa.field("n", pa.int64(), nullable=False),
    pa.field("direction", pa.string(), nullable=False),
]
SUMMARY = pa.schema(_COLUMNS)


@dataclass(frozen=True)
class Metric:
    """What a metric says, its unit, and which direction speaks for the generator."""

    meaning: str
    direction: Direction


# By whom images are restored from measurements: an infix of the metrics' names.
SENSING_RESTORERS = {
    "": "of the restart with the smallest objective",
    "oracle_": "of the restart nearest to the truth, which only an oracle knows",
    "ppca_": "by probabilistic PCA from the same measurements, whatever the generator",
}
# ``against`` is the number of measurements, "m = 64".
_SENSING = {
    **{
        f"sensing_{restorer}psnr_mean": Metric(
            f"mean PSNR of images restored from m measurements, dB, {meaning}",
            "none" if restorer == "ppca_" else "higher",
        )
        for restorer, meaning in SENSING_RESTORERS.items()
    },
    **{
        f"sensing_{restorer}psnr_of_mean_mse": Metric(
            f"PSNR of the mean squared error's mean, dB, {meaning}",
            "none" if restorer == "ppca_" else "higher",
        )
        for restorer, meaning in SENSING_RESTORERS.items()
    },
    "sensing_psnr_difference": Metric(
        "sensing_psnr_mean - sensing_ppca_psnr_mean on the same images, dB", "higher"
    ),
}

METRICS: dict[str, Metric] = {
    "reconstruction_mse_mean": Metric(
        "least mean squared error that inversion or search found, mean over images", "lower"
    ),
    "reconstruction_mse_median": Metric("the same, median over images", "lower"),
    "psnr_of_mean_mse": Metric("PSNR of the mean squared error's mean, dB", "higher"),
    "psnr_mean": Metric("mean over images of the PSNR, dB; at least psnr_of_mean_mse", "higher"),
    "reconstruction_ratio": Metric("median error over that of the generated images", "lower"),
    "search_beaten": Metric(
        "images whose inversion another stage's search beat by more than 1%; errors are the least",
        "none",
    ),
    "reconstruction_lpips_mean": Metric("LPIPS of the reconstruction, mean over images", "lower"),
    "reconstruction_lpips_median": Metric("the same, median over images", "lower"),
    "reconstruction_lpips_ratio": Metric("median LPIPS over that of the generated", "lower"),
    "log_likelihood_mean": Metric("mean ln p(x), nats, densities on [0, 1]", "higher"),
    "bits_per_dim": Metric("mean ln p(x) / (D ln 2) - 8, higher is better", "higher"),
    "bits_per_dim_bound": Metric(
        "mean bits/dim that the least errors known allow at the most, on the same images", "none"
    ),
    "bound_violated": Metric("1 if the group's bits/dim lies above that bound, else 0", "lower"),
    "images_above_bound": Metric("images whose own bits/dim lies above their own bound", "lower"),
    "density_lead": Metric(
        "mean ln p(x) of the likeliest group minus that of `against`, nats", "none"
    ),
    "density_lead_given": Metric("the same without the model's own images", "none"),
    "variance": Metric("observation variance sigma^2 on [0, 1], of the data", "none"),
    "variance_control": Metric("the same of the generator's own noise-free images", "none"),
    "variance_null": Metric("the same of the null audit's images", "none"),
    "outlier_auc_likelihood": Metric("AUC of -ln p(x), outlier positive", "higher"),
    "outlier_auc_reconstruction": Metric(
        "AUC of the least error known, outlier positive", "higher"
    ),
    "outlier_auc_reconstruction_lpips": Metric(
        "AUC of the reconstruction's LPIPS, outlier positive", "higher"
    ),
    "outlier_auc_neighbours": Metric(
        "AUC of the 1-NN distance in pixels, outlier positive", "higher"
    ),
    "outlier_auc_neighbours_lpips": Metric(
        "AUC of the 1-NN distance in LPIPS, outlier positive", "higher"
    ),
    **{
        f"outlier_pairs_{method}": Metric(
            "pairs of an inlier and an outlier under one class, on which the mean AUC rests", "none"
        )
        for method in ("likelihood", "reconstruction", "reconstruction_lpips")
    },
    "accuracy_likelihood": Metric("accuracy of argmax_c ln p(x|c)", "higher"),
    "accuracy_reconstruction": Metric("accuracy of argmin_c of the least error known", "higher"),
    "accuracy_reconstruction_lpips": Metric(
        "accuracy of argmin_c of the reconstruction's LPIPS", "higher"
    ),
    "accuracy_neighbours": Metric(
        "accuracy of the nearest reference image's class, in pixels", "higher"
    ),
    "accuracy_neighbours_lpips": Metric("the same, nearest in LPIPS", "higher"),
    **{
        f"accuracy_difference_{method}": Metric(
            f"accuracy_{method} - that of the 1-NN `against` names, on the same images", "higher"
        )
        for method in ("likelihood", "reconstruction", "reconstruction_lpips")
    },
    **{
        f"accuracy_mcnemar_p_{method}": Metric(
            "p-value (McNemar, mid-p) that both accuracies of that difference are equal", "none"
        )
        for method in ("likelihood", "reconstruction", "reconstruction_lpips")
    },
    "ties_likelihood": Metric("images with a tie between classes (lower class taken)", "none"),
    "ties_reconstruction": Metric("images with a tie between classes (lower class taken)", "none"),
    "ties_reconstruction_lpips": Metric(
        "images with a tie between classes (lower class taken)", "none"
    ),
    "typicality_deviation": Metric(
        "mean ln p(x) minus that of the model's samples `against`, nats; nearer to 0 is better",
        "none",
    ),
    "typicality_margin": Metric(
        "deviations of no more nats than this count as typical: half of one sample's spread", "none"
    ),
    "typicality_p_mean": Metric(
        "p-value of equal means of ln p(x), by permutation, the variance's error in it", "none"
    ),
    "typicality_p_shape": Metric(
        "the same of equal shapes about the mean, by the energy distance", "none"
    ),
    "typicality_p_null": Metric(
        "p-value of deviating from the reference as the null audit's images do", "none"
    ),
    "reconstruction_p_null": Metric(
        "p-value of errors distributed as those of the null audit's images", "none"
    ),
    "latent_square": Metric(
        "mean squared entry of the inversion's latents; 1 is what the prior expects", "none"
    ),
    "latent_p_null": Metric(
        "p-value of latents as long as those of the null audit's images", "none"
    ),
    "residual_structure": Metric(
        "mean squared cosine between the residuals of two images, times their number of values; 1 "
        "for white noise",
        "none",
    ),
    "residual_p_null": Metric(
        "p-value of residuals that have no more in common than the null audit's", "none"
    ),
    "acceptance": Metric("mean Metropolis acceptance over transitions and chains", "none"),
    "step_size": Metric("median of the chains' last step sizes", "none"),
    "effective_sample_size": Metric("mean effective number of chains in the estimate", "higher"),
    "evaluations": Metric("mean generator evaluations of an image under one class", "lower"),
    "best_chain_share": Metric(
        "mean share of an estimate's weight that its best chain carries; 1/C at the least", "lower"
    ),
    "settled_share": Metric("share of estimates that settled within the tolerance", "higher"),
    "modes": Metric("mean number of distinct modes that the search left, guided only", "none"),
    "prior_won_share": Metric(
        "share of estimates whose best chain started from the prior, not a mode, guided only",
        "lower",
    ),
    "sandwich_gap": Metric("upper - lower bound on simulated images, nats, mean", "lower"),
    "sandwich_gap_median": Metric("the same, median over images", "lower"),
    "sandwich_gap_bits_per_dim": Metric("the mean in bits per dimension", "lower"),
    "doubling_change": Metric(
        "mean change of ln p(x), nats, when what `against` names is doubled", "lower"
    ),
    "doubling_change_high": Metric(
        "upper 95% bound of the 90% quantile of such changes' sizes, nats; null under 29 images",
        "lower",
    ),
    "doubling_change_max": Metric("the largest such change of an image, in size, nats", "lower"),
    "sweep_log_likelihood": Metric(
        "mean ln p(x) of a sample at the number of transitions that `against` names, nats", "higher"
    ),
    "sweep_shortfall": Metric(
        "mean ln p(x) at the most transitions tried minus that at those of `against`, nats", "lower"
    ),
    "sweep_sandwich_gap": Metric(
        "upper - lower bound on simulated images at the transitions of `against`, nats", "lower"
    ),
    "sweep_sandwich_gap_high": Metric(
        "upper 95% bound of the 90% quantile of that gap's size, nats; null under 29 images",
        "lower",
    ),
    "recommended_transitions": Metric(
        "fewest transitions at and above which, of those tried, the gap's interval and the bound "
        "of its high quantile are under `against` nats; null where none are, or under 32 images",
        "none",
    ),
    "estimator_gap": Metric(
        "ln p(x) by `estimator` - by the one `against` names, nats, mean over images", "none"
    ),
    "estimator_gap_median": Metric("the same, median over images", "none"),
    "patch_correlation_pearson": Metric(
        "correlation of ln p(x) with that of the patch model; `against` with outliers pools them",
        "none",
    ),
    "patch_correlation_spearman": Metric("the same of ranks", "none"),
    "patch_top_overlap": Metric(
        "share of the patch_top_size images of highest ln p(x) that are among the patch model's",
        "none",
    ),
    "patch_top_size": Metric("how many: 20, or half of the images if that is fewer", "none"),
    "patch_log_density_mean": Metric("mean ln p(x) under the patch model, nats", "none"),
    "variation_correlation_pearson": Metric(
        "correlation of ln p(x) with the local variation; `against` with outliers pools them",
        "none",
    ),
    "variation_correlation_spearman": Metric("the same of ranks", "none"),
    "local_variation_mean": Metric(
        "mean over images of standard deviation / mean in their 8x8 patches", "none"
    ),
    "class_correlation_pearson": Metric(
        "correlation of ln p(x|a) with ln p(x|b), mean over all pairs of classes", "lower"
    ),
    "class_correlation_spearman": Metric("the same of ranks", "lower"),
    "incomplete_images_likelihood": Metric(
        "images that leave the marginal because a class failed", "lower"
    ),
    "incomplete_images_inversion": Metric(
        "images that leave the comparison of classes because one failed", "lower"
    ),
    "incomplete_images_perceptual": Metric("the same, of the perceptual stage", "lower"),
    **_SENSING,
    **{
        f"failed_rows_{stage}": Metric(f"rows of stage {stage} with status != ok", "lower")
        for stage in SCHEMAS
    },
}


@dataclass(frozen=True)
class SummaryRow:
    """One row of the summary; ``n`` counts the images of ``group`` that the value rests on.

    ``estimator`` is that of the densities behind the value, None where there are none.
    """

    metric: str
    generator: str | None
    condition: str | None
    group: str | None
    against: str | None
    estimator: str | None
    value: float
    low: float
    high: float
    n: int


def summary_row(
    metric: str,
    interval: Interval,
    *,
    generator: str | None = None,
    condition: str | None = None,
    group: str | None = None,
    against: str | None = None,
    estimator: str | None = None,
) -> SummaryRow:
    """A row from an estimate with its interval."""
    return SummaryRow(
        metric,
        generator,
        condition,
        group,
        against,
        estimator,
        interval.value,
        interval.low,
        interval.high,
        interval.n,
    )


def class_condition(index: int) -> str:
    """The value of ``condition`` for a single class."""
    return f"class {index}"


def exact(value: float, n: int) -> Interval:
    """A value that has no interval: a count, or a setting."""
    return Interval(float(value), math.nan, math.nan, n)


def summary_table(rows: Iterable[SummaryRow]) -> pa.Table:
    """Rows as the summary table; a value or a bound that is not a number is null.

    Raises:
        KeyError: a metric that :data:`METRICS` does not define.
    """
    records = []
    for row in rows:
        record = asdict(row) | {"direction": METRICS[row.metric].direction}
        for key in ("value", "low", "high"):
            record[key] = None if math.isnan(record[key]) else record[key]
        records.append(record)
    return pa.Table.from_pylist(records, schema=SUMMARY)
