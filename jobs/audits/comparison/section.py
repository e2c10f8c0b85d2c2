"""Does the estimator matter? The gap between the two, and what follows from it."""

from collections.abc import Sequence

from ...reduce.context import GeneratorInfo, ReduceContext
from ...reduce.schema import MARGINAL, OWN
from ...report.conclusion import Concluder
from ...report.section import ReportContext, Section, present
from ...report.summary import MISSING, Estimate, Summary, number
from ...report.tables import Table, text
from .figures import gap_figure
from .findings import compared_findings


def gap_table(context: ReduceContext, generator: GeneratorInfo, summary: Summary) -> Table | None:
    """Ln p under each estimator, the paired gap, and what each cost, by group."""
    gaps = _gaps(summary, context, generator)
    if not gaps:
        return None
    mine, other = summary.estimators[:2]
    rows = []
    for group, gap in gaps.items():
        keys = {"generator": generator.name, "group": group}
        sides = (summary, summary.under(other))
        density = [
            side.find("log_likelihood_mean", **keys, conditions=(OWN, MARGINAL)) for side in sides
        ]
        calls = [side.find("evaluations", **keys) for side in sides]
        rows.append(
            [
                group,
                *[text(found) for found in density],
                gap.text(),
                text(summary.find("estimator_gap_median", **keys)),
                *[MISSING if found is None else number(found.value) for found in calls],
                str(gap.n),
            ]
        )
    return Table(
        f"Mean ln p under each image's own class, nats, and its gap: {mine} minus {other}; "
        "generator calls are those of one image under one class",
        [
            "group",
            f"ln p, {mine}",
            f"ln p, {other}",
            "mean gap",
            "median gap",
            f"calls, {mine}",
            f"calls, {other}",
            "N",
        ],
        rows,
        key="gap",
    )


def findings_table(
    context: ReduceContext,
    generator: GeneratorInfo,
    summary: Summary,
    concluders: Sequence[Concluder],
) -> Table | None:
    """Every finding that rests on densities, with its conclusion under both estimators."""
    found = compared_findings(context, summary, generator, concluders)
    if not found:
        return None
    mine, other = summary.estimators[:2]
    return Table(
        "Findings that rest on densities, and whether they change with the estimator",
        ["finding", f"by {mine}", "so", f"by {other}", "so", "changes"],
        [
            [
                finding.name,
                finding.trusted.value,
                finding.trusted.words,
                finding.other.value,
                finding.other.words,
                "yes" if finding.changes else "no",
            ]
            for finding in found
        ],
        key="findings",
    )


def estimator_sentences(
    context: ReduceContext,
    generator: GeneratorInfo,
    summary: Summary,
    concluders: Sequence[Concluder],
) -> list[str]:
    """Which group the estimator moves most, what it costs, and which findings change with it."""
    gaps = _gaps(summary, context, generator)
    if not gaps:
        return []
    mine, other = summary.estimators[:2]
    most = max(gaps, key=lambda group: abs(gaps[group].value))
    least = min(gaps, key=lambda group: abs(gaps[group].value))
    middle = summary.find("estimator_gap_median", generator=generator.name, group=most)
    sentence = (
        f"The choice matters most for {most} images: there ln p by the {mine} estimator minus "
        f"ln p by the {other} one is {gaps[most].text()} nats on average"
    ) + ("" if middle is None else f", {middle.text()} in the median")
    if least != most:
        sentence += f". It matters least for {least} images: {gaps[least].text()} nats"
    costs = _costs(summary, generator, list(gaps))
    return [f"{sentence}.{costs}", *_changes(context, generator, summary, concluders)]


def gap_line(summary: Summary, context: ReduceContext, generator: GeneratorInfo) -> str | None:
    """The mean gap of every group, in one line."""
    gaps = _gaps(summary, context, generator)
    if not gaps:
        return None
    mine, other = summary.estimators[:2]
    named = ", ".join(f"{group} {gap.text(2)}" for group, gap in gaps.items())
    return f"mean ln p, {mine} minus {other}, nats: {named}"


def _gaps(
    summary: Summary, context: ReduceContext, generator: GeneratorInfo
) -> dict[str, Estimate]:
    found = {
        group.name: summary.find("estimator_gap", generator=generator.name, group=group.name)
        for group in context.groups
    }
    return {group: gap for group, gap in found.items() if gap is not None}


def _costs(summary: Summary, generator: GeneratorInfo, groups: list[str]) -> str:
    mine, other = summary.estimators[:2]
    ratios = []
    for group in groups:
        calls = [
            side.find("evaluations", generator=generator.name, group=group)
            for side in (summary, summary.under(other))
        ]
        if calls[0] is not None and calls[1] is not None and calls[1].value > 0:
            ratios.append(calls[0].value / calls[1].value)
    if not ratios:
        return ""
    low, high = number(min(ratios)), number(max(ratios))
    span = low if low == high else f"{low} to {high} (by group)"
    return f" The {mine} estimates took {span} times the generator calls of the {other} ones."


def _changes(
    context: ReduceContext,
    generator: GeneratorInfo,
    summary: Summary,
    concluders: Sequence[Concluder],
) -> list[str]:
    found = compared_findings(context, summary, generator, concluders)
    if not found:
        return []
    mine, other = summary.estimators[:2]
    changed = [finding for finding in found if finding.changes]
    told = "Findings that change with the estimator"
    if not changed:
        return [f"{told}: none of {len(found)}."]
    named = "; ".join(
        f"{finding.name}: {finding.trusted.words} by {mine}, {finding.other.words} by {other}"
        for finding in changed
    )
    return [f"{told}: {len(changed)} of {len(found)}. {named}."]


def estimators_section(
    context: ReportContext, summary: Summary, generator: GeneratorInfo
) -> Section:
    """The section that holds the two estimators against each other."""
    return Section(
        "estimators",
        "Does the estimator matter?",
        [
            "The same images by both estimators. Each gives on average no more than the true "
            "ln p, so where they differ by more than chance the higher one is nearer to it.",
            *estimator_sentences(context.reduce, generator, summary, context.concluders),
        ],
        present(gap_figure(context.reduce, generator)),
        [
            *present(gap_table(context.reduce, generator, summary)),
            *present(findings_table(context.reduce, generator, summary, context.concluders)),
        ],
    )
