"""The report's tables: rows of text out of the summary."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ...workers.schema import SCHEMAS, STATUS_OK
from ..audits.across.outliers.methods import METHODS
from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.schema import MARGINAL, NEAREST_CLASS, OWN, PER_CLASS_MEAN
from ..reduce.tables import read_stage
from .summary import MISSING, Estimate, Summary, number

LISTED_FAILURES = 20

# The first cells of a row, and every method's estimate.
Found = dict[tuple[str, ...], list[Estimate | None]]


@dataclass(frozen=True)
class Table:
    """A caption, column headers, and rows whose first cell is their header.

    A number stands in its cell as ``value`` or ``value [low, high]``. ``key`` names the table
    among those of its section, the same in every run: files are called by it.
    """

    caption: str
    headers: Sequence[str]
    rows: Sequence[Sequence[str]]
    key: str = field(kw_only=True)


def outlier_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """AUC of every method that the run has, side by side, for each outlier group.

    Outliers are held against the data, and below that against the model's own samples.
    """
    if context.inliers is None:
        return None
    own_samples = [group.name for group in context.with_role("simulated")]
    if context.null is not None:
        own_samples.append(context.null)
    variants = [f"{MARGINAL} / {NEAREST_CLASS}", PER_CLASS_MEAN]
    if not generator.num_classes:
        variants = [MARGINAL]
    found: Found = {}
    for group in context.with_role("outlier"):
        for against in (context.inliers.name, *own_samples):
            for variant in variants:
                found[group.name, against, variant] = [
                    method.outlier_auc(
                        summary,
                        generator,
                        group.name,
                        against,
                        (PER_CLASS_MEAN,) if variant == PER_CLASS_MEAN else method.pooled,
                    )
                    for method in METHODS
                ]
    headers, rows = _side_by_side(found, _share)
    if not rows:
        return None
    beside = f", and against the model's own samples ({', '.join(own_samples)})"
    return Table(
        f"AUC of outliers against {context.inliers.name} images{beside if own_samples else ''}; "
        "the outlier is positive, 0.5 is chance",
        ["outliers", "against", "scores", *headers, "N"],
        rows,
        key="auc",
    )


def accuracy_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """Accuracy of every classifier that the run has, side by side, in percent, by group."""
    found: Found = {}
    for group in context.groups:
        keys = {"generator": generator.name, "group": group.name}
        ties = [summary.find(f"ties_{method.key}", **keys) for method in METHODS]
        counted = sum(int(tie.value) for tie in ties if tie is not None)
        found[group.name, str(counted)] = [
            method.accuracy(summary, generator, group.name) for method in METHODS
        ]
    headers, rows = _side_by_side(found, _percent)
    if not rows:
        return None
    return Table(
        f"Images given their own class, %; chance is {number(100 / generator.num_classes)}",
        ["group", "ties", *headers, "N"],
        rows,
        key="accuracy",
    )


def _side_by_side(
    found: Found, written: Callable[[Estimate | None], str]
) -> tuple[list[str], list[list[str]]]:
    """Headers of the methods that have a number, and the rows in which a generator's method has.

    A row's N is that of the first of these.
    """
    mine = {
        head: estimates
        for head, estimates in found.items()
        if any(
            estimate is not None
            for method, estimate in zip(METHODS, estimates, strict=True)
            if not method.baseline
        )
    }
    shown = [
        column
        for column in range(len(METHODS))
        if any(estimates[column] is not None for estimates in mine.values())
    ]
    rows = []
    for head, estimates in mine.items():
        first = next(estimate for estimate in estimates if estimate is not None)
        rows.append([*head, *[written(estimates[column]) for column in shown], _n(first)])
    return [METHODS[column].words for column in shown], rows


def reconstruction_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """Errors and PSNR of every group under its own condition; LPIPS where it was measured."""
    metrics = {
        "reconstruction_mse_median": "median MSE",
        "reconstruction_ratio": "× generated",
        "psnr_of_mean_mse": "PSNR of mean MSE, dB",
        "psnr_mean": "mean PSNR, dB",
    }
    if summary.rows("reconstruction_lpips_"):
        metrics |= {
            "reconstruction_lpips_median": "median LPIPS",
            "reconstruction_lpips_ratio": "× generated in LPIPS",
        }
    rows = []
    for group in context.groups_and_null:
        keys = {"generator": generator.name, "group": group.name}
        found = [summary.find(metric, **keys, conditions=(OWN, None)) for metric in metrics]
        if found[0] is not None:
            rows.append([group.name, *[text(value) for value in found], _n(found[0])])
    if not rows:
        return None
    return Table(
        "Reconstruction by inversion" + (", each image under its own class" * _classes(generator)),
        ["group", *metrics.values(), "N"],
        rows,
        key="reconstruction",
    )


def group_table(context: ReduceContext) -> Table:
    """The groups of images and their parts."""
    meaning = {"all": "every class", "own": "its own class"}
    return Table(
        "Groups of images",
        ["group", "part in the comparisons", "evaluated under"],
        [[group.name, group.role, meaning[group.conditions]] for group in context.groups_and_null],
        key="groups",
    )


def failure_counts(summary: Summary) -> Table:
    """Failed and planned rows by stage."""
    failed: dict[str, int] = {}
    planned: dict[str, int] = {}
    for row in summary.rows("failed_rows_"):
        stage = str(row["metric"]).removeprefix("failed_rows_")
        failed[stage] = failed.get(stage, 0) + int(float(str(row["value"])))
        planned[stage] = planned.get(stage, 0) + int(str(row["n"]))
    return Table(
        "Rows by stage",
        ["stage", "failed", "all"],
        [[stage, str(failed[stage]), str(planned[stage])] for stage in failed],
        key="rows",
    )


def failure_list(context: ReduceContext) -> Table | None:
    """The first failed rows with their errors."""
    rows: list[list[str]] = []
    total = 0
    for stage in SCHEMAS:
        frame = read_stage(context.run_dir, stage, ["error"])
        if frame is None:
            continue
        failed = frame[frame["status"] != STATUS_OK]
        total += len(failed)
        for image, condition, status, error in (
            failed[["image_id", "condition", "status", "error"]]
            .head(LISTED_FAILURES - len(rows))
            .itertuples(index=False)
        ):
            named = MISSING if condition < 0 else str(condition)
            texts = [
                value if isinstance(value, str) else MISSING for value in (image, status, error)
            ]
            rows.append([texts[0], stage, named, *texts[1:]])
    if not rows:
        return None
    return Table(
        f"{len(rows)} of {total} rows that failed",
        ["image", "stage", "class", "status", "error"],
        rows,
        key="failed",
    )


def _classes(generator: GeneratorInfo) -> bool:
    return generator.num_classes > 0


def text(estimate: Estimate | None) -> str:
    """The estimate, or a dash where there is none."""
    return MISSING if estimate is None else estimate.text()


def _share(estimate: Estimate | None) -> str:
    return MISSING if estimate is None else estimate.fixed(3)


def _percent(estimate: Estimate | None) -> str:
    return MISSING if estimate is None else estimate.scaled(100).fixed(1)


def _n(estimate: Estimate | None) -> str:
    return MISSING if estimate is None else str(estimate.n)
