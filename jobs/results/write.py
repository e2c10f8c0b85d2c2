"""The end of a run: summary.parquet and report.html from the parts."""

from dataclasses import dataclass

import pyarrow as pa

from ..plan.stage import PlanContext
from ..record.run_directory import PROVENANCE_FILE, REPORT_FILE
from ..reduce.context import ReduceContext
from ..report.section import ReportContext
from ..spec.loading import dump_spec
from .context import reduce_context
from .page import AuditReport, make_report, render_page
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


def write_results(context: PlanContext, *, runs_code: bool) -> Results:
    """Reduces a complete run and writes its summary and its report.

    Raises:
        SpecError: without ``runs_code``, when the report needs a picture that has not been drawn
            yet, of a generator that is a program.
    """
    run, spec = context.run, context.spec
    reduced = reduce_context(context)
    summary = reduce_run(reduced)
    write_summary(context, summary)
    content = make_report(
        ReportContext(
            reduce=reduced,
            summary=summary,
            spec_yaml=dump_spec(spec),
            provenance=run.read_json(PROVENANCE_FILE),
            render=Renderer(context, runs_code=runs_code),
        )
    )
    run.storage.write(REPORT_FILE, render_page(content).encode())
    return Results(reduced, summary, content, run.storage.locate(REPORT_FILE))
