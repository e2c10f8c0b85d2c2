"""The end of a run: summary.parquet and report.html from the parts."""

import io
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from .reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from .reduce.run import reduce_run
from .renderer import Renderer
from .report.page import Report, make_report, render_page
from .report.section import ReportContext
from .run_directory import PROVENANCE_FILE, REPORT_FILE, SUMMARY_FILE
from .spec_loading import dump_spec
from .stages.stage import PlanContext


@dataclass(frozen=True)
class Results:
    """The summary table, what the report says, and where it lies."""

    context: ReduceContext
    summary: pa.Table
    content: Report
    report: str


def write_results(context: PlanContext, *, runs_code: bool) -> Results:
    """Reduces a complete run and writes its summary and its report.

    Raises:
        SpecError: without ``runs_code``, when the report needs a picture that has not been drawn
            yet, of a generator that is a program.
    """
    run, spec = context.run, context.spec
    reduce_context = ReduceContext(
        run_dir=run.storage,
        groups=tuple(GroupInfo(group.name, group.role, group.conditions) for group in spec.groups),
        generators=tuple(
            GeneratorInfo(facts.name, facts.num_classes, facts.image_shape)
            for facts in context.facts.generators.values()
        ),
        seed=spec.seed,
        resamples=spec.statistics.resamples,
        typical_set_size=spec.statistics.typical_set_size,
        sweep_tolerance=None if spec.stages.sweep is None else spec.stages.sweep.tolerance,
    )
    summary = reduce_run(reduce_context)
    sink = io.BytesIO()
    pq.write_table(summary, sink)
    run.storage.write(SUMMARY_FILE, sink.getvalue())
    content = make_report(
        ReportContext(
            reduce=reduce_context,
            summary=summary,
            spec_yaml=dump_spec(spec),
            provenance=run.read_json(PROVENANCE_FILE),
            render=Renderer(context, runs_code=runs_code),
        )
    )
    run.storage.write(REPORT_FILE, render_page(content).encode())
    return Results(reduce_context, summary, content, run.storage.locate(REPORT_FILE))
