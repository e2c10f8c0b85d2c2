"""The short tables at the end of a run."""

from collections.abc import Sequence

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from ..audits.across.classification.tables import accuracy_table
from ..audits.across.outliers.tables import outlier_table
from ..audits.comparison.section import gap_line
from ..audits.convergence.words import convergence_line
from ..audits.likelihood.densities import trusted_estimator
from ..audits.sweep.section import gap_table, recommendations, shortfall_table
from ..reduce.context import ReduceContext
from ..report.summary import Summary
from ..report.terminal import rich_table
from ..report.view import View
from .partial import StageCount, unfinished_sentence, unfinished_table
from .verdicts import judge

_COLOURS = {"good": "green", "bad": "red", "open": "yellow"}


def terminal_summary(context: ReduceContext, table: pa.Table) -> RenderableType:
    """Verdicts with their numbers, AUC and accuracy tables, and warnings, for each generator."""
    summary = Summary(table, trusted_estimator(context.tables))
    verdicts = judge(context, summary)
    parts: list[RenderableType] = []
    for generator in context.generators:
        parts.append(Text(f"\n{generator.name}", style="bold"))
        for verdict in verdicts[generator.name]:
            answer = Text(f"  {verdict.question} ")
            answer.append(verdict.headline, style=f"bold {_COLOURS[verdict.tone]}")
            parts.append(answer)
            parts += [
                Padding(Text(finding.sentence, style="dim"), (0, 0, 0, 4))
                for finding in verdict.findings
                if finding.primary
            ]
        view = View(context, summary, generator)
        tables = (outlier_table(view), accuracy_table(view))
        parts += [rich_table(found) for found in tables if found is not None]
        gaps = gap_line(view)
        if gaps is not None:
            parts.append(Text(f"  {gaps}"))
        line = convergence_line(view)
        if line is not None:
            parts.append(Text(f"! {line}", style="yellow"))
    return Group(*parts)


def unfinished_summary(found: Sequence[StageCount]) -> RenderableType:
    """That a run is not finished, and how far each of its stages is."""
    return Group(Text(unfinished_sentence(found)), rich_table(unfinished_table(found)))


def sweep_summary(context: ReduceContext, table: pa.Table) -> RenderableType:
    """The sandwich gap and the shortfall by the number of transitions, and the recommendation."""
    summary = Summary(table, trusted_estimator(context.tables))
    parts: list[RenderableType] = []
    for generator in context.generators:
        parts.append(Text(f"\n{generator.name}", style="bold"))
        view = View(context, summary, generator)
        tables = (gap_table(view), shortfall_table(view))
        parts += [rich_table(found) for found in tables if found is not None]
        parts += [Text(f"  {line}") for line in recommendations(view)]
    return Group(*parts)
