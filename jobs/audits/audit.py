"""What the rest of the house needs to know of an audit, as one value."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..plan.stage import Stage
from ..reduce.context import ReduceContext
from ..reduce.schema import Metric, SummaryRow
from ..report.conclusion import Concluder
from ..report.section import PageView, Section
from ..report.verdict import Verdict
from ..report.view import View
from ..spec.audit import AuditSpec
from ..spec.facts import Facts
from ..spec.stages import StageKey
from .detector import DetectorMaker

Reducer = Callable[[ReduceContext], list[SummaryRow]]
Maker = Callable[[PageView], Section]
Question = Callable[[View], Verdict | None]


def _no_keys(spec: AuditSpec) -> Sequence[str]:
    del spec
    return ()


@dataclass(frozen=True)
class Audit:
    """An audit: its folder's name, the title of its metrics, and all that it brings.

    Everything but the title may be missing: some audits only prepare what others need, and those in
    ``across`` have no stage of their own.

    Attributes:
        name: that of its folder.
        title: what readers call its metrics, in comparisons and documents.
        settings: its keys under ``stages`` in a spec.
        spec_checks: raise ValueError where a spec lacks what the audit needs; nothing is opened.
        fact_checks: raise SpecError where what a spec names does not fit the audit.
        lpips_keys: the keys of a spec by which this audit asks for LPIPS.
        stages: in an order in which each finds what it needs complete.
        metrics: what its reducers write into the summary, by name.
        reducers: rows of the summary, from the run's tables.
        sections: a generator's sections of the report.
        questions: each answered by a verdict, or by None where the run cannot answer it.
        detector: how its verdict is tried on generators whose faults are known, by `calibrate`.
        conclude: what its findings that rest on densities conclude, to be held against another
            estimator's.
        method: how it is done, in sentences, with the paper it is from.
    """

    name: str
    title: str
    settings: tuple[StageKey[Any], ...] = ()
    spec_checks: tuple[Callable[[AuditSpec], None], ...] = ()
    fact_checks: tuple[Callable[[AuditSpec, Facts], None], ...] = ()
    lpips_keys: Callable[[AuditSpec], Sequence[str]] = _no_keys
    stages: tuple[Stage, ...] = ()
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    reducers: tuple[Reducer, ...] = ()
    sections: tuple[Maker, ...] = ()
    questions: tuple[Question, ...] = ()
    detector: DetectorMaker | None = None
    conclude: Concluder | None = None
    method: tuple[str, ...] = ()
