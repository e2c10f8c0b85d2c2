"""The page of a comparison, and its numbers as files beside it."""

from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa

from ..audits.across.collapse.quality import quality_table
from ..reduce.schema import SUMMARY
from ..report.section import present
from ..report.table_files import write_table_files
from ..report.templates import page_template
from ..report.words import terms_in
from ..spec.loading import SpecError
from ..spec.written_files import writing
from .classes import views_by_run
from .runs import Comparison
from .sentences import comparison_sentences
from .side_by_side import (
    difference_table,
    headline_table,
    meaning_table,
    metric_tables,
    overlap_table,
    side_table,
)

_SIDE_COLUMNS: "list[pa.Field[pa.DataType]]" = [
    pa.field(name, pa.string(), nullable=False) for name in ("side", "run", "side_generator")
]
_SIDES = pa.unify_schemas([pa.schema(_SIDE_COLUMNS), SUMMARY])
_DIFFERENCE_COLUMNS: "list[pa.Field[pa.DataType]]" = [
    pa.field("metric", pa.string(), nullable=False),
    pa.field("group", pa.string(), nullable=False),
    pa.field("condition", pa.string()),
    pa.field("estimator", pa.string()),
    pa.field("first", pa.string(), nullable=False),
    pa.field("second", pa.string(), nullable=False),
    pa.field("value", pa.float64(), nullable=False),
    pa.field("low", pa.float64()),
    pa.field("high", pa.float64()),
    pa.field("n", pa.int64(), nullable=False),
    pa.field("same_variance", pa.bool_(), nullable=False),
]
_DIFFERENCES = pa.schema(_DIFFERENCE_COLUMNS)


def check_page(path: Path) -> None:
    """Refuses a path that cannot be the page's.

    Raises:
        SpecError: no .html file, or one in a folder that is not there.
    """
    if path.suffix != ".html":
        raise SpecError(f"--out {path}: expected a file name that ends in .html")
    if not path.parent.is_dir():
        raise SpecError(f"--out {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise SpecError(f"--out {path}: this is a folder, expected a file")


def comparison_page(comparison: Comparison) -> str:
    """The comparison as one self-contained HTML page."""
    differences, sides = difference_table(comparison), side_table(comparison)
    headlines = headline_table(comparison)
    qualities = [
        found and replace(found, key=f"quality-{run}", caption=f"{found.caption} ({names})")
        for run, views in enumerate(views_by_run(comparison.sides), start=1)
        for found, names in [(quality_table(views), ", ".join(views))]
    ]
    tables = [*present(headlines, *qualities), *metric_tables(comparison)]
    return page_template("compare.html").render(
        sentences=comparison_sentences(comparison),
        sides_compared=sides,
        caveats=comparison.caveats,
        overlaps=overlap_table(comparison),
        differences=differences,
        tables=tables,
        meanings=meaning_table(comparison),
        words=terms_in([sides, *tables, *([] if differences is None else [differences])]),
    )


def write_page(comparison: Comparison, path: Path) -> list[Path]:
    """Writes the page, and beside it ``<stem>-metrics`` and ``-differences``, CSV and Parquet.

    The metrics are the runs' summaries, one under the other; the differences are unrounded.

    Raises:
        SpecError: they cannot be written there.
    """
    page, written = comparison_page(comparison), [path]
    with writing("--out", path):
        path.write_text(page, encoding="utf-8")
        for name, table in (
            ("metrics", _metrics(comparison)),
            ("differences", _differences(comparison)),
        ):
            written += write_table_files(table, path.with_name(f"{path.stem}-{name}"))
    return written


def _metrics(comparison: Comparison) -> pa.Table:
    rows = [
        {"side": side.letter, "run": side.run, "side_generator": side.generator.name, **row}
        for side in comparison.sides
        for row in side.rows
    ]
    return pa.Table.from_pylist(rows, schema=_SIDES)


def _differences(comparison: Comparison) -> pa.Table:
    rows = []
    for each in comparison.differences:
        interval = asdict(each.interval)
        # One image has a difference and no interval.
        bounds = {
            key: None if interval[key] != interval[key] else interval[key] for key in interval
        }
        same = comparison.same_variance(each.first, each.second)
        rows.append({**asdict(each), **bounds, "same_variance": same})
    return pa.Table.from_pylist(rows, schema=_DIFFERENCES)
