"""What there is and what failed, as tables."""

from .....workers.schema import STATUS_OK
from ....reduce.context import ReduceContext
from ....report.summary import MISSING, Summary
from ....report.tables import Table

LISTED_FAILURES = 20


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
    for stage in context.tables.names:
        frame = context.tables.read(stage, ["error"])
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
