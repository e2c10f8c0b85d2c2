"""The report: one HTML file that needs no network, no other file and not even its script."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import yaml

from ..audits import AUDITS, CONCLUDERS
from ..audits.across.failures.tables import failure_counts, failure_list, group_table
from ..audits.likelihood.densities import trusted_estimator
from ..audits.likelihood.health_words import certificate_line
from ..reduce.context import GeneratorInfo
from ..report.section import PageView, ReportContext, Section
from ..report.summary import Summary
from ..report.table import Table
from ..report.templates import page_template
from ..report.verdict import Verdict, in_a_sentence
from ..report.words import terms_in
from .partial import StageCount, unfinished_sentence, unfinished_table
from .verdicts import judge


@dataclass(frozen=True)
class GeneratorReport:
    """Verdicts and sections of one generator."""

    generator: GeneratorInfo
    verdicts: Sequence[Verdict]
    sections: Sequence[Section]
    certificate: str | None

    @property
    def sentence(self) -> str:
        """The verdict in one sentence."""
        return in_a_sentence(self.generator.name, self.verdicts)

    def explained(self, verdict: Verdict) -> bool:
        """Whether a section answers at length, so that the summary on top can be short."""
        return any(section.key == verdict.section for section in self.sections)


@dataclass(frozen=True)
class AuditReport:
    """All that the page says, before it is a page."""

    name: str
    reports: Sequence[GeneratorReport]
    groups: Table
    failures: Table
    failed: Table | None
    provenance: Sequence[tuple[str, str]]
    spec_yaml: str
    resamples: int
    quick: bool = False
    unfinished: Table | None = None
    unfinished_sentence: str | None = None

    @property
    def tables(self) -> Iterator[Table]:
        """Every table of the page."""
        for each in self.reports:
            for section in each.sections:
                yield from section.tables
        yield from (self.groups, self.failures)
        if self.unfinished is not None:
            yield self.unfinished
        if self.failed is not None:
            yield self.failed

    @property
    def failed_rows(self) -> int:
        """How many rows of all stages failed."""
        return self._rows("failed")

    @property
    def all_rows(self) -> int:
        """How many rows all stages have."""
        return self._rows("all")

    def _rows(self, header: str) -> int:
        counted = [column.header for column in self.failures.columns].index(header)
        return sum(int(str(row[counted])) for row in self.failures.rows)


def sections_of(view: PageView) -> list[Section]:
    """The sections that the run's stages fill, for one generator."""
    made = [maker(view) for audit in AUDITS for maker in audit.sections]
    return [section for section in made if section.figures or section.tables]


def make_report(
    context: ReportContext, unfinished: Sequence[StageCount] | None = None
) -> AuditReport:
    """Verdicts, sections, figures and tables of a run; no verdicts of an ``unfinished`` one."""
    summary = Summary(context.summary, trusted_estimator(context.reduce.tables))
    names = [generator.name for generator in context.reduce.generators]
    verdicts: Mapping[str, Sequence[Verdict]] = dict.fromkeys(names, ())
    if unfinished is None:
        verdicts = judge(context.reduce, summary)
    views = [
        PageView(
            context.reduce,
            summary,
            generator,
            context.render,
            context.spec_yaml,
            CONCLUDERS,
        )
        for generator in context.reduce.generators
    ]
    spec = yaml.safe_load(context.spec_yaml)
    said = spec if isinstance(spec, dict) else {}
    return AuditReport(
        name=str(said.get("name") or context.reduce.tables.locate().rpartition("/")[-1]),
        reports=[
            GeneratorReport(
                view.generator,
                verdicts[view.generator.name],
                sections_of(view),
                certificate_line(view) if unfinished is None else None,
            )
            for view in views
        ],
        groups=group_table(context.reduce),
        failures=failure_counts(summary),
        failed=failure_list(context.reduce),
        provenance=_flattened(context.provenance),
        spec_yaml=context.spec_yaml,
        resamples=context.reduce.resamples,
        quick=said.get("quick") is True,
        unfinished=None if unfinished is None else unfinished_table(unfinished),
        unfinished_sentence=None if unfinished is None else unfinished_sentence(unfinished),
    )


def render_page(report: AuditReport) -> str:
    """The report as one self-contained HTML page."""
    return page_template("report.html").render(
        {field.name: getattr(report, field.name) for field in fields(report)},
        failed_rows=report.failed_rows,
        all_rows=report.all_rows,
        words=terms_in(report.tables),
    )


def _flattened(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, Mapping):
        if path and value and not any(map(_holds_more, value.values())):
            # What is said stage by stage or class by class is one line.
            return [(path, ", ".join(f"{key}: {inner}" for key, inner in value.items()))]
        return [
            entry
            for key, inner in value.items()
            for entry in _flattened(inner, f"{path}.{key}" if path else str(key))
        ]
    if _holds_more(value):
        return [(path, ", ".join(str(inner) for inner in value))]
    return [(path, "–" if value is None else str(value))]


def _holds_more(value: Any) -> bool:
    return isinstance(value, Mapping | list | tuple)
