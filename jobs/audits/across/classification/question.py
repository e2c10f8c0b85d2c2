"""Does the generator classify as well as a nearest neighbour?"""

from dataclasses import replace

from ....reduce.schema import EVERY_CLASS
from ....report.summary import Estimate, number
from ....report.verdict import (
    Answer,
    Finding,
    Null,
    Verdict,
    decide,
    own_group_decides,
    settle_null,
    side_p_value,
)
from ....report.view import View
from ...neighbours.nearest import BASELINES, Baseline

# An accuracy that is lower by less than this counts as as good: 2 points.
EQUIVALENCE_MARGIN = 0.02

_MANNERS = {
    "likelihood": "its class densities",
    "reconstruction": "its class manifolds",
    "reconstruction_lpips": "its class manifolds in LPIPS",
}
_NO_BASELINE = (
    "no nearest neighbour was computed to compare with: add `neighbours` under stages, with the "
    "training set as its dataset"
)


def classifies_as_well(view: View) -> Verdict | None:
    """Whether its classes match or miss those of the nearest neighbour, paired by image."""
    groups = view.context.with_role("test") or view.context.with_role("train")
    findings = []
    for group in groups:
        for method in _MANNERS:
            accuracy = view.find(f"accuracy_{method}", group.name, EVERY_CLASS)
            if accuracy is not None:
                compared = baseline_comparisons(view, method, group.name)
                data = compared[0][2] if compared else None
                null = _null(view, method, data)
                findings.append(replace(_finding(view, group.name, method, accuracy), null=null))
    if not findings:
        return None
    # Only some groups need to be evaluated under every class.
    first = next((group for group in groups if group.conditions == "all"), groups[0])
    decided = own_group_decides(
        findings, first, lambda finding: finding.group.rpartition(" by ")[0]
    )
    question = "Does the generator classify as well as a nearest neighbour?"
    return Verdict("classifies", question, "yes", tuple(decided), "classification")


def matches_neighbours(difference: Estimate) -> Answer:
    """Whether an accuracy is as good as the nearest neighbour's, by their paired difference.

    As good is no more than the margin below it, with the whole interval; worse is below it, with
    the whole interval.
    """
    if decide(difference, -EQUIVALENCE_MARGIN) == "above":
        return "yes"
    return "no" if decide(difference, 0.0) == "below" else "undecided"


def baseline_comparisons(
    view: View, method: str, group: str
) -> list[tuple[Baseline, Estimate, Estimate]]:
    """Each 1-NN baseline that there is, its accuracy, and the method's difference from it."""
    found = []
    for baseline in BASELINES.values():
        accuracy = view.summary.find(f"accuracy_{baseline.method}", group=group)
        difference = view.find(f"accuracy_difference_{method}", group, against=baseline.words)
        if accuracy is not None and difference is not None:
            found.append((baseline, accuracy, difference))
    return found


def _finding(view: View, group: str, method: str, accuracy: Estimate) -> Finding:
    """The pixel baseline decides where there is one; the sentence names every baseline."""
    chance = f"chance {number(view.generator.chance)}%, N = {accuracy.n}"
    right = f"{accuracy.scaled(100).fixed(1)}%"
    words = f"By {_MANNERS[method]} {right} of {group} images are right"
    name, counted = f"{group} by {method}", f"N = {accuracy.n}"
    compared = baseline_comparisons(view, method, group)
    if not compared:
        measured = f"{group}: {right} right; no nearest neighbour to compare with"
        sentence = f"{words} ({chance}); {_NO_BASELINE}."
        return Finding(name, "undecided", sentence, measured=measured, counted=counted)
    against = "; ".join(
        f"{baseline.words} has {theirs.scaled(100).fixed(1)}%: a difference of "
        f"{difference.scaled(100).fixed(1)} points"
        for baseline, theirs, difference in compared
    )
    measured = "; ".join(
        f"{baseline.words} {number(100 * theirs.value, 3, 1)}%: "
        f"{difference.scaled(100).fixed(1)} points"
        for baseline, theirs, difference in compared
    )
    answer = matches_neighbours(compared[0][2])
    return Finding(
        name,
        answer,
        f"{words}; {against} ({chance}). Up to {number(100 * EQUIVALENCE_MARGIN)} points below "
        "counts as equally good.",
        measured=f"{group}: {right} right, {measured}",
        counted=counted,
        p_value=_p_value(view, group, method, compared[0], answer),
    )


def _p_value(
    view: View,
    group: str,
    method: str,
    compared: tuple[Baseline, Estimate, Estimate],
    answer: Answer,
) -> float | None:
    """Of no difference, by McNemar's test and by the interval; for `as good`, of the margin."""
    baseline, _, difference = compared
    if answer == "yes":
        return side_p_value(difference, -EQUIVALENCE_MARGIN)
    exact = view.find(f"accuracy_mcnemar_p_{method}", group, against=baseline.words)
    by_interval = side_p_value(difference, 0.0)
    values = (by_interval, None if exact is None else exact.value)
    return max((each for each in values if each is not None), default=None)


def _null(view: View, method: str, data: Estimate | None) -> Null | None:
    """The generator's own images in the place of the data: are they classified as well?"""
    for group in view.context.with_role("generated", "simulated"):
        compared = baseline_comparisons(view, method, group.name)
        if compared and data is not None:
            baseline, _, theirs = compared[0]
            answer, words = settle_null(matches_neighbours(theirs), "no", data, theirs, "below")
            return Null(
                answer,
                f"On the generator's own images ({group.name}) the difference from "
                f"{baseline.words} is {theirs.scaled(100).fixed(1)} points, N = {theirs.n}{words}.",
            )
    return None
