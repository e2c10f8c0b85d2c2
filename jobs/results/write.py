"""The end of a run: summary.parquet and report.html from the parts."""

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from ..plan.stage import PlanContext
from ..record.run_directory import PARTIAL_REPORT_FILE, PROVENANCE_FILE, REPORT_FILE
from ..reduce.context import ReduceContext
from ..report.section import ReportContext
from ..spec.loading import dump_spec
from .context import reduce_context
from .page import AuditReport, make_report, render_page
from .partial import StageCount
from .reduction import reduce_run
from .renderer import Renderer
from .summary_file import write_summary


@dataclass(frozen=True)
class Results:
    """The summary table, what the report says, and where it lies."""

    context: ReduceContext
    summary: pa.Table
    content: AuditReport
    report: str


def write_partial(context: PlanContext, found: Sequence[StageCount]) -> Results:
    """Reduces the complete stages of an unfinished run, and writes a report that says so.

    No generator that is a program runs for it, and its summary is kept nowhere.
    """
    return _written(
        context, PARTIAL_REPORT_FILE, Renderer(context, runs_code=False, partial=True), found
    )


def write_results(context: PlanContext, *, runs_code: bool) -> Results:
    """Reduces a complete run and writes its summary and its report.

    Raises:
        SpecError: without ``runs_code``, when the report needs a picture that has not been drawn
            yet, of a generator that is a program.
    """
    results = _written(context, REPORT_FILE, Renderer(context, runs_code=runs_code), None)
    write_summary(context, results.summary)
    context.run.storage.delete(PARTIAL_REPORT_FILE)
    return results


def _written(
    context: PlanContext,
    name: str,
    render: Renderer,
    unfinished: Sequence[StageCount] | None,
) -> Results:
    run, spec = context.run, context.spec
    reduced = reduce_context(context)
    summary = reduce_run(reduced)
    content = make_report(
        ReportContext(
            reduce=reduced,
            summary=summary,
            spec_yaml=dump_spec(spec),
            provenance=run.read_json(PROVENANCE_FILE),
            render=render,
        ),
        unfinished,
    )
    run.storage.write(name, render_page(content).encode())
    return Results(reduced, summary, content, run.storage.locate(name))
