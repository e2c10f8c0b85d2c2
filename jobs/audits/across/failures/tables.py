"""What there is and what failed, as tables."""

from .....workers.schema import STATUS_OK
from ....reduce.context import ReduceContext
from ....report.summary import Summary
from ....report.table import Cell, Column, Table, counts, filled_table

LISTED_FAILURES = 20


def group_table(context: ReduceContext) -> Table:
    """The groups of images and their parts."""
    meaning = {"all": "every class", "own": "its own class", "in_turn": "one class each, in turn"}
    return Table(
        "Groups of images",
        [Column("group"), Column("role in the comparisons"), Column("evaluated under")],
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
        [Column("stage"), counts("failed"), counts("all")],
        [[stage, failed[stage], planned[stage]] for stage in failed],
        key="rows",
    )


def failure_list(context: ReduceContext) -> Table | None:
    """The first failed rows with their errors."""
    rows: list[list[Cell]] = []
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
            texts = [value if isinstance(value, str) else None for value in (image, status, error)]
            named = None if condition < 0 else int(condition)
            rows.append([texts[0], stage, named, *texts[1:]])
    return filled_table(
        f"{len(rows)} of {total} rows that failed",
        [Column("image"), Column("stage"), counts("class"), Column("status"), Column("error")],
        rows,
        key="failed",
    )
