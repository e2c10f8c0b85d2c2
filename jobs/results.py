"""The end of a run: summary.parquet and report.html from the parts."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from .reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from .reduce.run import reduce_run
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


def write_results(context: PlanContext) -> Results:
    """Reduces a complete run and writes its summary and its report."""
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
            render=_Renderer(context),
        )
    )
    run.storage.write(REPORT_FILE, render_page(content).encode())
    return Results(reduce_context, summary, content, run.storage.locate(REPORT_FILE))


class _Renderer:
    """Renders latents for the report, opening each generator once."""

    def __init__(self, context: PlanContext) -> None:
        self._facts = context.facts.generators
        self._service = context.spec.cluster.storage.settings

    def __call__(
        self,
        generator: str,
        latents: npt.NDArray[np.float32],
        conditions: npt.NDArray[np.int64] | None,
    ) -> npt.NDArray[np.float32]:
        """Images [N, C, H, W] in [0, 1] of latents [N, d] under class indices [N]."""
        import torch

        from ..workers.generators import open_generator

        facts = self._facts[generator]
        opened = open_generator(
            facts.source,
            facts.import_path,
            facts.family,
            facts.truncation,
            self._service,
            facts.network,
        )
        condition = None if conditions is None else torch.from_numpy(conditions)
        with torch.no_grad():
            images = opened.generator(torch.from_numpy(latents), condition)
        pixels: npt.NDArray[np.float32] = images.numpy()
        return pixels
