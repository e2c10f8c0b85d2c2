"""The short table at the end of a run: the verdicts, the AUCs and the accuracies."""

import pyarrow as pa
from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from ..audits.comparison.section import gap_line
from ..audits.likelihood.densities import trusted_estimator
from ..audits.likelihood.health_words import convergence_line
from ..audits.sweep.section import gap_table, recommendations, shortfall_table
from ..reduce.context import ReduceContext
from .summary import Summary
from .tables import Table, accuracy_table, outlier_table
from .verdicts import judge

_COLOURS = {"good": "green", "bad": "red", "open": "yellow"}


def terminal_summary(context: ReduceContext, table: pa.Table) -> RenderableType:
    """Verdicts with their numbers, AUC and accuracy tables, and warnings, for each generator."""
    summary = Summary(table, trusted_estimator(context.run_dir))
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
        for found in (
            outlier_table(context, generator, summary),
            accuracy_table(context, generator, summary),
        ):
            if found is not None:
                parts.append(rich_table(found))
        gaps = gap_line(summary, context, generator)
        if gaps is not None:
            parts.append(Text(f"  {gaps}"))
        line = convergence_line(summary, context, generator)
        if line is not None:
            parts.append(Text(f"! {line}", style="yellow"))
    return Group(*parts)


def sweep_summary(context: ReduceContext, table: pa.Table) -> RenderableType:
    """The sandwich gap and the shortfall by the number of transitions, and the recommendation."""
    summary = Summary(table, trusted_estimator(context.run_dir))
    parts: list[RenderableType] = []
    for generator in context.generators:
        parts.append(Text(f"\n{generator.name}", style="bold"))
        parts += [
            rich_table(found)
            for found in (
                gap_table(context, summary, generator),
                shortfall_table(context, summary, generator),
            )
            if found is not None
        ]
        parts += [Text(f"  {line}") for line in recommendations(context, summary, generator)]
    return Group(*parts)


def rich_table(table: Table) -> RichTable:
    """A table of the report for the terminal."""
    drawn = RichTable(title=Text(table.caption), box=SIMPLE_HEAD, title_justify="left")
    for index, header in enumerate(table.headers):
        drawn.add_column(Text(header), justify="left" if index == 0 else "right")
    for row in table.rows:
        drawn.add_row(*[Text(cell) for cell in row])
    return drawn
