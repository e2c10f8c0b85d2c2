"""The tables of a run: one versioned Arrow schema a stage, written down once.

A table whose columns change takes the next version, and its shards' ids change with it; other
tables' parts stay good.

Every table starts with the key columns (``generator``, ``condition``, ``group``, ``image_id``,
``label``) and holds ``status`` (``ok``, or what failed) and ``error``: there is a row for every
planned item. ``condition`` is the class index the generator was given, null where it has none.
``label`` is the image's own class index, null for outliers.
"""

import pyarrow as pa

STATUS_OK = "ok"
STATUS_FAILED = "failed"
STATUS_KILLED_WORKER = "killed worker"

KEY_COLUMNS = ("generator", "condition", "group", "image_id", "label")

_KEYS: list[tuple[str, pa.DataType]] = [
    ("generator", pa.string()),
    ("condition", pa.int32()),
    ("group", pa.string()),
    ("image_id", pa.string()),
    ("label", pa.int32()),
    ("status", pa.string()),
    ("error", pa.string()),
]


def _schema(stage: str, version: int, columns: list[tuple[str, pa.DataType]]) -> pa.Schema:
    metadata: dict[str | bytes, str | bytes] = {
        "offmanifold.stage": stage,
        "offmanifold.schema_version": str(version),
    }
    return pa.schema(_KEYS + columns, metadata=metadata)


def schema_version(stage: str) -> int:
    """The version of a stage's table.

    Raises:
        KeyError: no such stage.
    """
    return int(SCHEMAS[stage].metadata[b"offmanifold.schema_version"])


# Pixels are row-major (channels, height, width) in [0, 1]; latent is a generated image's own.
IMAGES = _schema(
    "images",
    2,
    [
        ("source", pa.string()),
        ("height", pa.int32()),
        ("width", pa.int32()),
        ("channels", pa.int32()),
        ("pixels", pa.list_(pa.float32())),
        ("latent", pa.list_(pa.float32())),
    ],
)

# mse is per pixel on [0, 1]; distance is what was minimised; restart_distance has one per restart;
# latent is the best restart's, restart_latent those of all restarts, one after the other; residual
# is x - G(latent), averaged over blocks where it has more than 1024 values.
INVERSION = _schema(
    "inversion",
    3,
    [
        ("mse", pa.float64()),
        ("psnr", pa.float64()),
        ("distance", pa.float64()),
        ("restart_distance", pa.list_(pa.float64())),
        ("latent", pa.list_(pa.float32())),
        ("restart_latent", pa.list_(pa.float32())),
        ("residual", pa.list_(pa.float32())),
        ("iterations", pa.int32()),
    ],
)

# LPIPS between an image and its reconstruction at the inversion's best latent.
PERCEPTUAL = _schema("perceptual", 1, [("lpips", pa.float64())])

# An image's reconstructions at the maximum of its posterior under each of variances:
# squared_residual is |x - G(z)|^2, degrees the effective degrees of freedom of the latent there.
_CURVE_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("variances", pa.list_(pa.float64())),
    ("squared_residual", pa.list_(pa.float64())),
    ("degrees", pa.list_(pa.float64())),
]
VARIANCE_FIT = _schema("variance_fit", 1, _CURVE_COLUMNS)

# The model's own samples in the place of the data, drawn with noise_variance and stored as the
# data are, inverted like them: mse, residual and latents are as in inversion. The curves are those
# of the half that the null's variance is fitted to.
NULL_FIT = _schema(
    "null_fit",
    1,
    [
        ("mse", pa.float64()),
        ("residual", pa.list_(pa.float32())),
        ("latent", pa.list_(pa.float32())),
        ("restart_latent", pa.list_(pa.float32())),
        *_CURVE_COLUMNS,
    ],
)

# One row a generator and group (train: the data): variance is sigma^2 on [0, 1] from the n images
# whose ids are fitted, by the marginal or the profile estimator, or as given; low and high are its
# 95% interval over images, log_standard_error is that of its logarithm, degrees the mean effective
# degrees of freedom at it.
_VARIANCE_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("estimator", pa.string()),
    ("variance", pa.float64()),
    ("low", pa.float64()),
    ("high", pa.float64()),
    ("log_standard_error", pa.float64()),
    ("degrees", pa.float64()),
    ("n", pa.int32()),
    ("fitted", pa.list_(pa.string())),
]
VARIANCE = _schema("variance", 3, _VARIANCE_COLUMNS)
NULL_VARIANCE = _schema("null_variance", 1, _VARIANCE_COLUMNS)

# One row a pilot image: the step size and acceptance it settled on at each transition's beta.
TUNING = _schema(
    "tuning",
    2,
    [
        ("variance", pa.float64()),
        ("beta", pa.list_(pa.float64())),
        ("step_size", pa.list_(pa.float64())),
        ("acceptance", pa.list_(pa.float64())),
    ],
)

_LIKELIHOOD_COLUMNS: list[tuple[str, pa.DataType]] = [
    ("estimator", pa.string()),
    ("variance", pa.float64()),
    ("transitions", pa.int32()),
    ("restarts", pa.int32()),
    ("evaluations", pa.int64()),
    ("settled", pa.bool_()),
    ("log_likelihood", pa.float64()),
    ("bits_per_dim", pa.float64()),
    ("chain_log_weights", pa.list_(pa.float64())),
    ("acceptance", pa.list_(pa.float64())),
    ("step_size", pa.list_(pa.float64())),
    ("effective_sample_size", pa.float64()),
    ("best_chain_share", pa.float64()),
    ("modes", pa.int32()),
    ("chain_component", pa.list_(pa.int32())),
    ("curvature", pa.string()),
    ("mode_mse", pa.float64()),
    ("upper_bound", pa.float64()),
]

# Log densities are natural logs on [0, 1]; per-chain lists have one entry a chain (acceptance is
# the mean over transitions, step_size the last); upper_bound only for images simulated from the
# model, under the condition that made them. estimator is guided or classical; of guided rows only:
# restarts of the search for modes, the distinct modes it left, the least mean squared error on
# [0, 1] of all points that it found or was given (mode_mse), the component that each chain started
# from (-1 is the prior) and whether the curvature was dense or of low rank. transitions, restarts
# and settled are those the row ended with; settled is null without a tolerance. With one, the
# chains are fresh ones, not those that settled. evaluations counts generator calls of the row:
# gradients, candidates and products with the Jacobian alike.
LIKELIHOOD = _schema("likelihood", 3, _LIKELIHOOD_COLUMNS)

# The other half of the null's images, and the simulated ones, under the null's variance.
NULL_LIKELIHOOD = _schema("null_likelihood", 1, _LIKELIHOOD_COLUMNS)

# The same images by the other estimator.
COMPARISON = _schema("comparison", 3, _LIKELIHOOD_COLUMNS)

# Each estimator again on a sample of every group, with one setting doubled: varied is transitions,
# chains or restarts.
CONVERGENCE = _schema("convergence", 3, [*_LIKELIHOOD_COLUMNS, ("varied", pa.string())])

# A sample of every group by each estimator at every number of transitions.
SWEEP = _schema("sweep", 2, _LIKELIHOOD_COLUMNS)

# The nearest image in a block of the reference set, the query itself left out, over all and within
# each class (index = class); all null where the block has none. space is pixels (distance is l2) or
# lpips (distance is LPIPS). A query has a row for each of the blocks 0 to blocks - 1; its nearest
# image is that of the row with the least (distance, block). nearest_index counts in the whole set.
NEIGHBOURS = _schema(
    "neighbours",
    3,
    [
        ("space", pa.string()),
        ("block", pa.int32()),
        ("blocks", pa.int32()),
        ("nearest_index", pa.int64()),
        ("nearest_source", pa.string()),
        ("nearest_label", pa.int32()),
        ("distance", pa.float64()),
        ("class_distance", pa.list_(pa.float64())),
    ],
)

# One row a class of the reference set, condition being the class, or one for all: a mixture of
# Gaussians of its 8x8 patches. means are [components, dimensions], precision_cholesky [components,
# dimensions, dimensions] with inverse covariance P P', row-major; patch_mean is kept or removed,
# and covariance_floor what was added to the covariances' diagonals. mean_log_density is per patch
# of the fit, nats.
PATCH_FIT = _schema(
    "patch_fit",
    1,
    [
        ("components", pa.int32()),
        ("covariance_floor", pa.float64()),
        ("patch_mean", pa.string()),
        ("images", pa.int32()),
        ("patches", pa.int32()),
        ("iterations", pa.int32()),
        ("converged", pa.bool_()),
        ("mean_log_density", pa.float64()),
        ("weights", pa.list_(pa.float64())),
        ("means", pa.list_(pa.float64())),
        ("precision_cholesky", pa.list_(pa.float64())),
    ],
)

# log_density is the sum over an image's patches of their log densities, nats on [0, 1], under the
# mixture of model_class (null: one mixture for all). covered is the share of its pixels inside
# the patches; the rest is cropped.
PATCH_GMM = _schema(
    "patch_gmm",
    1,
    [
        ("model_class", pa.int32()),
        ("patches", pa.int32()),
        ("covered", pa.float64()),
        ("log_density", pa.float64()),
    ],
)

# Mean over 8x8 patches of standard deviation / mean, the mean being at least mean_floor.
LOCAL_VARIATION = _schema(
    "local_variation",
    1,
    [
        ("mean_floor", pa.float64()),
        ("patches", pa.int32()),
        ("covered", pa.float64()),
        ("variation", pa.float64()),
    ],
)

# One row: a Gaussian N(mean, W W^T + noise_variance I) fitted to n reference images. components are
# q orthonormal rows, one after the other; eigenvalue is the covariance along each.
PPCA = _schema(
    "ppca",
    1,
    [
        ("n", pa.int32()),
        ("mean", pa.list_(pa.float64())),
        ("components", pa.list_(pa.float64())),
        ("eigenvalue", pa.list_(pa.float64())),
        ("noise_variance", pa.float64()),
    ],
)

# A row for every number of measurements. objective, mse, psnr and latent are of the restart with
# the smallest objective; oracle_psnr is the best restart's, which only the truth can tell.
SENSING = _schema(
    "sensing",
    1,
    [
        ("measurements", pa.int32()),
        ("objective", pa.float64()),
        ("mse", pa.float64()),
        ("psnr", pa.float64()),
        ("oracle_psnr", pa.float64()),
        ("restart_objective", pa.list_(pa.float64())),
        ("restart_psnr", pa.list_(pa.float64())),
        ("ppca_mse", pa.float64()),
        ("ppca_psnr", pa.float64()),
        ("latent", pa.list_(pa.float32())),
    ],
)

SCHEMAS: dict[str, pa.Schema] = {
    "images": IMAGES,
    "inversion": INVERSION,
    "perceptual": PERCEPTUAL,
    "variance_fit": VARIANCE_FIT,
    "variance": VARIANCE,
    "null_fit": NULL_FIT,
    "null_variance": NULL_VARIANCE,
    "tuning": TUNING,
    "likelihood": LIKELIHOOD,
    "null_likelihood": NULL_LIKELIHOOD,
    "comparison": COMPARISON,
    "convergence": CONVERGENCE,
    "sweep": SWEEP,
    "neighbours": NEIGHBOURS,
    "patch_fit": PATCH_FIT,
    "patch_gmm": PATCH_GMM,
    "local_variation": LOCAL_VARIATION,
    "ppca": PPCA,
    "sensing": SENSING,
}
