"""Does the estimator matter? The gap between the two, and what follows from it."""

from ...reduce.schema import MARGINAL, OWN
from ...report.section import PageView, Section, present
from ...report.summary import Estimate, number
from ...report.table import Cell, Column, N, Shown, Table, estimates, filled_table, numbers
from ...report.view import View
from ...report.words import BOUND
from .figures import gap_figure
from .findings import compared_findings


def gap_table(view: View) -> Table | None:
    """Ln p under each estimator, the paired gap, and what each cost, by group."""
    gaps = view.by_group("estimator_gap")
    if not gaps:
        return None
    sides = _sides(view)
    rows: list[list[Cell]] = [
        [
            group,
            *[side.find("log_likelihood_mean", group, OWN, MARGINAL) for side in sides],
            gap,
            view.find("estimator_gap_median", group),
            *[side.find("evaluations", group) for side in sides],
            gap.n,
        ]
        for group, gap in gaps.items()
    ]
    mine, other = (side.estimator for side in sides)
    return filled_table(
        f"Mean ln p under each image's own class, nats, and its gap: {mine} minus {other}; "
        f"generator calls are for one image under one class; {BOUND}",
        [
            Column("group"),
            estimates(f"ln p at least, {mine}"),
            estimates(f"ln p at least, {other}"),
            estimates("mean gap"),
            estimates("median gap"),
            numbers(f"calls, {mine}"),
            numbers(f"calls, {other}"),
            N,
        ],
        rows,
        key="gap",
    )


def findings_table(view: PageView) -> Table | None:
    """Every finding that rests on densities, with its conclusion under both estimators."""
    found = compared_findings(view)
    if not found:
        return None
    mine, other = (side.estimator for side in _sides(view))
    return filled_table(
        "Findings based on densities, and whether they change with the estimator",
        [
            Column("finding"),
            estimates(f"by {mine}"),
            Column("so"),
            estimates(f"by {other}"),
            Column("so"),
            Column("changes"),
        ],
        [
            [
                finding.name,
                Shown(finding.trusted.value, finding.trusted.format),
                finding.trusted.words,
                Shown(finding.other.value, finding.other.format),
                finding.other.words,
                "yes" if finding.changes else "no",
            ]
            for finding in found
        ],
        key="findings",
    )


def estimator_sentences(view: PageView) -> list[str]:
    """Which group the estimator moves most, what it costs, and which findings change with it."""
    gaps = view.by_group("estimator_gap")
    if not gaps:
        return []
    mine, other = (side.estimator for side in _sides(view))
    most = max(gaps, key=lambda group: abs(gaps[group].value))
    least = min(gaps, key=lambda group: abs(gaps[group].value))
    middle = view.find("estimator_gap_median", most)
    sentence = (
        f"The choice matters most for {most} images: there ln p by the {mine} estimator minus "
        f"ln p by the {other} one is {gaps[most].text()} nats on average"
    ) + ("" if middle is None else f", {middle.text()} in the median")
    if least != most:
        sentence += f". It matters least for {least} images: {gaps[least].text()} nats"
    return [f"{sentence}.{_costs(view, gaps)}", *_changes(view)]


def gap_line(view: View) -> str | None:
    """The mean gap of every group, in one line."""
    gaps = view.by_group("estimator_gap")
    if not gaps:
        return None
    mine, other = (side.estimator for side in _sides(view))
    named = ", ".join(f"{group} {gap.text(2)}" for group, gap in gaps.items())
    return f"mean ln p, {mine} minus {other}, nats: {named}; {BOUND}"


def _sides(view: View) -> list[View]:
    """The view under the trusted estimator, and under the one that it is compared with."""
    return list(view.by_estimator())[:2]


def _costs(view: View, gaps: dict[str, Estimate]) -> str:
    mine, other = _sides(view)
    ratios = []
    for group in gaps:
        calls = [side.find("evaluations", group) for side in (mine, other)]
        if calls[0] is not None and calls[1] is not None and calls[1].value > 0:
            ratios.append(calls[0].value / calls[1].value)
    if not ratios:
        return ""
    low, high = number(min(ratios)), number(max(ratios))
    span = low if low == high else f"{low} to {high} (by group)"
    return (
        f" The {mine.estimator} estimates took {span} times the generator calls of the "
        f"{other.estimator} ones."
    )


def _changes(view: PageView) -> list[str]:
    found = compared_findings(view)
    if not found:
        return []
    changed = sum(finding.changes for finding in found)
    return [
        f"Findings that change with the estimator: {changed or 'none'} of {len(found)}"
        + (", those with “yes” in the last column." if changed else ".")
    ]


def estimators_section(view: PageView) -> Section:
    """The section that holds the two estimators against each other."""
    return Section(
        "estimators",
        "Does the estimator matter?",
        [
            "The same images with both estimators. On average each gives at most the true ln p, "
            "so if they differ by more than chance, the higher one is closer to it.",
            *estimator_sentences(view),
        ],
        present(gap_figure(view)),
        present(gap_table(view), findings_table(view)),
    )
