"""Does the generator classify as well as a nearest neighbour?"""

from ..reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from ..reduce.neighbours import BASELINES, Baseline
from ..reduce.schema import EVERY_CLASS
from .summary import Estimate, Summary, number
from .verdict import Answer, Finding, Verdict, decide, first_decides


def classifies_as_well(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Verdict | None:
    """Whether its classes beat, match or miss those of the nearest neighbour, paired by image."""
    findings = []
    groups = context.with_role("test") or context.with_role("train")
    for group in groups:
        for method, manner in (
            ("likelihood", "its class densities"),
            ("reconstruction", "its class manifolds"),
            ("reconstruction_lpips", "its class manifolds in LPIPS"),
        ):
            accuracy = summary.find(
                f"accuracy_{method}",
                generator=generator.name,
                group=group.name,
                conditions=(EVERY_CLASS,),
            )
            if accuracy is not None:
                findings.append(
                    _accuracy_finding(summary, generator, group, method, manner, accuracy)
                )
    findings = first_decides(findings)
    question = "Does the generator classify as well as a nearest neighbour?"
    return (
        Verdict("classifies", question, "yes", tuple(findings), "classification")
        if findings
        else None
    )


def matches_neighbours(difference: Estimate) -> Answer:
    """Whether an accuracy is at least the nearest neighbour's, by their paired difference."""
    return "yes" if difference.low >= 0 else "no" if difference.high < 0 else "undecided"


def baseline_comparisons(
    summary: Summary, method: str, generator: str, group: str
) -> list[tuple[Baseline, Estimate, Estimate]]:
    """Each 1-NN baseline that there is, its accuracy, and the method's difference from it."""
    found = []
    for baseline in BASELINES.values():
        accuracy = summary.find(f"accuracy_{baseline.method}", group=group)
        difference = summary.find(
            f"accuracy_difference_{method}",
            generator=generator,
            group=group,
            against=baseline.words,
        )
        if accuracy is not None and difference is not None:
            found.append((baseline, accuracy, difference))
    return found


def _accuracy_finding(
    summary: Summary,
    generator: GeneratorInfo,
    group: GroupInfo,
    method: str,
    manner: str,
    accuracy: Estimate,
) -> Finding:
    """The pixel baseline decides where there is one; the sentence names every baseline."""
    chance = 1 / generator.num_classes
    words = f"By {manner} {accuracy.scaled(100).fixed(1)}% of {group.name} images are right"
    compared = baseline_comparisons(summary, method, generator.name, group.name)
    if not compared:
        side = decide(accuracy, chance)
        plain: Answer = "yes" if side == "above" else "no" if side == "below" else "undecided"
        sentence = f"{words} (chance {number(100 * chance)}%, N = {accuracy.n}; no 1-NN baseline)."
        return Finding(
            f"{group.name} by {method}",
            plain,
            sentence,
            measured=f"{group.name}: {accuracy.scaled(100).fixed(1)}% right; chance is "
            f"{number(100 * chance)}%",
            counted=f"N = {accuracy.n}",
        )
    against = "; ".join(
        f"{baseline.words} has {theirs.scaled(100).fixed(1)}%: a difference of "
        f"{difference.scaled(100).fixed(1)} points"
        for baseline, theirs, difference in compared
    )
    sentence = f"{words}; {against} (chance {number(100 * chance)}%, N = {accuracy.n})."
    measured = "; ".join(
        f"{baseline.words} {number(100 * theirs.value, 3, 1)}%: "
        f"{difference.scaled(100).fixed(1)} points"
        for baseline, theirs, difference in compared
    )
    return Finding(
        f"{group.name} by {method}",
        matches_neighbours(compared[0][2]),
        sentence,
        measured=f"{group.name}: {accuracy.scaled(100).fixed(1)}% right, {measured}",
        counted=f"N = {accuracy.n}",
    )
