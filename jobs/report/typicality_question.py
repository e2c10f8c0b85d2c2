"""Are the data typical of the generator?"""

from ..reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from .summary import Estimate, Summary, number
from .verdict import Answer, Finding, Verdict, first_decides


def typical_data(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Verdict | None:
    """Whether the mean ln p of the data lies in the typical band; the strict test decides."""
    findings = []
    for group in context.with_role("train") or context.with_role("test"):
        for reference in context.references:
            finding = _typical_finding(summary, generator, group, reference)
            if finding is not None:
                findings.append(finding)
    findings = first_decides(findings)
    data = "Is the training set" if context.with_role("train") else "Are the data"
    question = f"{data} typical of the generator?"
    return Verdict("typical", question, "yes", tuple(findings), "typicality") if findings else None


TYPICAL_WORDS: dict[Answer, str] = {
    "yes": "typical",
    "no": "atypical",
    "undecided": "not decided",
}


def is_typical(deviation: Estimate, epsilon: Estimate) -> Answer:
    """Whether a group's mean ln p lies in the typical band, with its whole interval."""
    if -epsilon.value < deviation.low and deviation.high < epsilon.value:
        return "yes"
    outside = deviation.low > epsilon.value or deviation.high < -epsilon.value
    return "no" if outside else "undecided"


def _typical_finding(
    summary: Summary, generator: GeneratorInfo, group: GroupInfo, reference: GroupInfo
) -> Finding | None:
    deviation = summary.find(
        "typicality_deviation",
        generator=generator.name,
        group=group.name,
        against=reference.name,
    )
    if deviation is None:
        return None
    epsilon = summary.find(
        "typicality_epsilon",
        generator=generator.name,
        group=reference.name,
        conditions=(deviation.condition,),
    )
    if epsilon is None:
        return None
    sort = (
        "samples of the model with its observation noise, the strict test"
        if reference.role == "simulated"
        else "noise-free generated images, as in the paper; without noise they are denser"
    )
    sentence = (
        f"Against {reference.name} ({sort}): the mean ln p of {group.name} images deviates by "
        f"{deviation.text()} nats from the typical one; up to ±{number(epsilon.value)} is typical "
        f"({deviation.condition} density, N = {deviation.n} and {epsilon.n})."
    )
    answer = is_typical(deviation, epsilon)
    return Finding(
        f"{group.name} against {reference.name}",
        answer,
        sentence,
        measured=f"{group.name}: mean ln p deviates by {deviation.text()} nats from the model's "
        f"samples; up to ±{number(epsilon.value)} is typical",
        counted=f"N = {deviation.n} and {epsilon.n}",
    )
