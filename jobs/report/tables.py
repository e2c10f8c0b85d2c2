"""The report's tables: rows of text out of the summary."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from ...workers.schema import SCHEMAS, STATUS_OK
from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.schema import MARGINAL, NEAREST_CLASS, OWN, PER_CLASS_MEAN
from ..reduce.tables import read_stage
from .summary import MISSING, Estimate, Summary, number

LISTED_FAILURES = 20


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
    """AUC by likelihood, reconstruction and 1-NN for each outlier group."""
    if context.inliers is None:
        return None
    rows = []
    variants: list[tuple[str, str | None, str | None]] = [
        (f"{MARGINAL} / {NEAREST_CLASS}", MARGINAL, NEAREST_CLASS),
        (PER_CLASS_MEAN, PER_CLASS_MEAN, PER_CLASS_MEAN),
    ]
    if not generator.num_classes:
        variants = [(MARGINAL, MARGINAL, None)]
    for group in context.with_role("outlier"):
        against = context.inliers.name
        keys = {"group": group.name, "against": against}
        baseline = summary.find("outlier_auc_neighbours", **keys)
        for label, density, distance in variants:
            by_density = summary.find(
                "outlier_auc_likelihood",
                generator=generator.name,
                conditions=(density,),
                **keys,
            )
            by_distance = summary.find(
                "outlier_auc_reconstruction",
                generator=generator.name,
                conditions=(distance,),
                **keys,
            )
            if by_density is not None or by_distance is not None:
                cells = [_share(by_density), _share(by_distance), _share(baseline)]
                rows.append([group.name, label, *cells, _n(by_density or by_distance)])
    if not rows:
        return None
    return Table(
        f"AUC against {context.inliers.name} images, the outlier positive; 0.5 is chance",
        ["outliers", "scores", "likelihood", "reconstruction", "1-NN in pixels", "N"],
        rows,
        key="auc",
    )


def accuracy_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """Accuracy of the three classifiers, in percent, by group."""
    rows = []
    for group in context.groups:
        keys = {"generator": generator.name, "group": group.name}
        by_density = summary.find("accuracy_likelihood", **keys)
        by_distance = summary.find("accuracy_reconstruction", **keys)
        ties = [summary.find(f"ties_{kind}", **keys) for kind in ("likelihood", "reconstruction")]
        baseline = summary.find("accuracy_neighbours", group=group.name)
        if by_density is None and by_distance is None:
            continue
        counted = sum(int(found.value) for found in ties if found is not None)
        cells = [_percent(by_density), _percent(by_distance), _percent(baseline)]
        rows.append([group.name, *cells, str(counted), _n(by_density or by_distance)])
    if not rows:
        return None
    return Table(
        f"Images given their own class, %; chance is {number(100 / generator.num_classes)}",
        ["group", "likelihood", "reconstruction", "1-NN in pixels", "ties", "N"],
        rows,
        key="accuracy",
    )


def reconstruction_table(
    context: ReduceContext, generator: GeneratorInfo, summary: Summary
) -> Table | None:
    """Errors and PSNR of every group under its own condition."""
    rows = []
    conditions = (OWN, None)
    for group in context.groups:
        keys = {"generator": generator.name, "group": group.name}
        middle = summary.find("reconstruction_mse_median", **keys, conditions=conditions)
        if middle is None:
            continue
        found = [
            summary.find(metric, **keys, conditions=conditions)
            for metric in ("reconstruction_ratio", "psnr_of_mean_mse", "psnr_mean")
        ]
        rows.append([group.name, middle.text(), *[text(value) for value in found], _n(middle)])
    if not rows:
        return None
    return Table(
        "Reconstruction by inversion" + (", each image under its own class" * _classes(generator)),
        ["group", "median MSE", "× generated", "PSNR of mean MSE, dB", "mean PSNR, dB", "N"],
        rows,
        key="reconstruction",
    )


def group_table(context: ReduceContext) -> Table:
    """The groups of images and their parts."""
    meaning = {"all": "every class", "own": "its own class"}
    return Table(
        "Groups of images",
        ["group", "part in the comparisons", "evaluated under"],
        [[group.name, group.role, meaning[group.conditions]] for group in context.groups],
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
