"""The audit's questions, each answered in words that follow from its numbers and intervals.

Every finding has one of three outcomes: the interval lies on one side of its threshold, on the
other, or holds it, and then these images do not decide.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ..reduce.context import GeneratorInfo, GroupInfo, ReduceContext
from ..reduce.schema import EVERY_CLASS, MARGINAL, NEAREST_CLASS, OWN, PER_CLASS_MEAN
from .summary import Estimate, Summary, number

Answer = Literal["yes", "no", "undecided"]

# Training images whose squared error is within a quarter of the generated images' own count as on
# the manifold: inversion itself is not reproducible much below that.
ON_MANIFOLD_RATIO = 1.25
CHANCE = 0.5
# Below this PSNR of the generator's own images, inversion is the limit, not the manifold.
CONTROL_PSNR = 30.0
# A change of the mean by more nats than this when T is doubled is worth a warning.
SETTLED_NATS = 1.0
# What is left of the error after doubling T may be several times the change that doubling made.
REMAINING_ERROR_FACTOR = 10.0


@dataclass(frozen=True)
class Finding:
    """An answer for one group, and the sentence that gives its number and interval.

    Findings that are not ``primary`` are read beside the verdict and do not decide it.
    """

    group: str
    answer: Answer
    sentence: str
    primary: bool = True


@dataclass(frozen=True)
class Verdict:
    """A question with its findings. ``good`` is the answer that speaks for the generator."""

    key: str
    question: str
    good: Literal["yes", "no"]
    findings: tuple[Finding, ...]

    @property
    def answer(self) -> Answer | Literal["mixed"]:
        """The answer that all primary findings share; mixed where they do not."""
        answers = {finding.answer for finding in self.findings if finding.primary}
        return answers.pop() if len(answers) == 1 else "mixed"

    @property
    def headline(self) -> str:
        """The answer in a few words."""
        if self.answer == "mixed":
            words = ", ".join(
                f"{_WORDS[finding.answer]} for {finding.group}"
                for finding in self.findings
                if finding.primary
            )
        elif self.answer == "undecided":
            words = "not decided by these images"
        else:
            words = self.answer
        return words[0].upper() + words[1:]

    @property
    def tone(self) -> Literal["good", "bad", "open"]:
        """Whether the answer speaks for the generator."""
        if self.answer in ("undecided", "mixed"):
            return "open"
        return "good" if self.answer == self.good else "bad"


_WORDS: dict[Answer, str] = {"yes": "yes", "no": "no", "undecided": "not decided"}
Judge = Callable[[ReduceContext, Summary, GeneratorInfo], Verdict | None]


def judge(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> list[Verdict]:
    """The questions that the run's stages can answer, for one generator."""
    verdicts = [question(context, summary, generator) for question in _QUESTIONS]
    return [verdict for verdict in verdicts if verdict is not None]


def decide(estimate: Estimate, threshold: float) -> Literal["above", "below", "undecided"]:
    """On which side of the threshold the whole interval lies; no interval decides nothing."""
    if estimate.low > threshold:
        return "above"
    if estimate.high < threshold:
        return "below"
    return "undecided"


def _on_manifold(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Verdict | None:
    findings = []
    for reference in context.with_role("generated"):
        for group in context.with_role("train", "test"):
            ratio = summary.find(
                "reconstruction_ratio",
                generator=generator.name,
                group=group.name,
                against=reference.name,
                conditions=(OWN, None),
            )
            if ratio is not None:
                findings.append(_manifold_finding(summary, generator, group, reference, ratio))
    if not any(finding.primary for finding in findings):
        findings = _mark_first(findings)
    question = "Do the data lie on the generator's manifold?"
    return Verdict("manifold", question, "yes", tuple(findings)) if findings else None


def _manifold_finding(
    summary: Summary,
    generator: GeneratorInfo,
    group: GroupInfo,
    reference: GroupInfo,
    ratio: Estimate,
) -> Finding:
    side = decide(ratio, ON_MANIFOLD_RATIO)
    answer: Answer = {"above": "no", "below": "yes", "undecided": "undecided"}[side]  # type: ignore[assignment]
    psnrs = [
        summary.find(
            "psnr_of_mean_mse",
            generator=generator.name,
            group=name,
            conditions=(ratio.condition,),
        )
        for name in (group.name, reference.name)
    ]
    sentence = (
        f"Inversion leaves {group.name} images {ratio.text()} times the median squared error that "
        f"it leaves the generator's own images (up to {ON_MANIFOLD_RATIO} counts as on it)"
    )
    if psnrs[0] is not None and psnrs[1] is not None:
        sentence += (
            f": {number(psnrs[0].value)} dB against {number(psnrs[1].value)} dB, "
            f"N = {psnrs[0].n} and {psnrs[1].n}"
        )
        if psnrs[1].value < CONTROL_PSNR:
            sentence += (
                ". The generator's own images come back poorly themselves, so part of this "
                "distance is inversion's"
            )
    return Finding(group.name, answer, sentence + ".", primary=group.role == "train")


def _nearer(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> Verdict | None:
    findings = []
    for outliers, inliers, auc in _aucs(
        context, summary, generator, "reconstruction", (NEAREST_CLASS, None, PER_CLASS_MEAN)
    ):
        relation = {
            "below": f"The manifold passes nearer to {outliers} than to {inliers} images",
            "above": f"The manifold passes nearer to {inliers} than to {outliers} images",
            "undecided": f"{inliers} and {outliers} images are about equally near the manifold",
        }[decide(auc, CHANCE)]
        sentence = f"{relation}: {_auc_words(summary, auc, outliers, inliers)}."
        findings.append(Finding(outliers, _below_is_yes(auc), sentence))
    question = "Is the manifold nearer to outliers than to the data?"
    return Verdict("nearer", question, "no", tuple(findings)) if findings else None


def _denser(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> Verdict | None:
    findings = []
    for outliers, inliers, auc in _aucs(
        context, summary, generator, "likelihood", (MARGINAL, PER_CLASS_MEAN)
    ):
        answer = _below_is_yes(auc)
        relation = {
            "yes": f"{outliers} images are denser than {inliers} images",
            "no": f"{inliers} images are denser than {outliers} images",
            "undecided": f"{inliers} and {outliers} images are about equally dense",
        }[answer]
        sentence = f"{relation}: {_auc_words(summary, auc, outliers, inliers)}."
        answer, remark = _after_convergence(summary, generator, outliers, inliers, answer)
        findings.append(Finding(outliers, answer, sentence + remark))
    question = "Does the generator find outliers denser than the data?"
    return Verdict("denser", question, "no", tuple(findings)) if findings else None


def _after_convergence(
    summary: Summary, generator: GeneratorInfo, outliers: str, inliers: str, answer: Answer
) -> tuple[Answer, str]:
    """What the change on doubling T does to an answer about density.

    The estimate is a lower bound that rises: a group that still rises may in truth be denser by
    several times the change.
    """
    changes = {}
    means = {}
    for group in (outliers, inliers):
        found = summary.find("doubling_change", generator=generator.name, group=group)
        average = summary.find(
            "log_likelihood_mean",
            generator=generator.name,
            group=group,
            conditions=(OWN, MARGINAL),
        )
        if found is None or average is None:
            return answer, ""
        changes[group], means[group] = found, average
    rising = changes[outliers].value - changes[inliers].value
    gap = means[inliers].value - means[outliers].value
    if max(abs(change.value) for change in changes.values()) <= SETTLED_NATS:
        return answer, ""
    moved = (
        f" With twice the transitions the mean ln p of {outliers} changes by "
        f"{changes[outliers].text()} nats, that of {inliers} by {changes[inliers].text()}"
    )
    against_answer = {"yes": -rising, "no": rising, "undecided": abs(rising)}[answer]
    if answer == "yes" and rising > 0:
        return answer, moved + ": outliers are underestimated, so the finding is conservative."
    if against_answer * REMAINING_ERROR_FACTOR > abs(gap):
        return "undecided", (
            f"{moved}, against {number(abs(gap))} nats between their means: the estimates have "
            "not settled enough to decide; run more transitions."
        )
    return answer, moved + f", little against the {number(abs(gap))} nats between their means."


def _typical(context: ReduceContext, summary: Summary, generator: GeneratorInfo) -> Verdict | None:
    findings = []
    for group in context.with_role("train") or context.with_role("test"):
        for reference in context.references:
            finding = _typical_finding(summary, generator, group, reference)
            if finding is not None:
                findings.append(finding)
    findings = _mark_first(findings)
    question = "Are the data typical of the generator?"
    return Verdict("typical", question, "yes", tuple(findings)) if findings else None


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
    inside = -epsilon.value < deviation.low and deviation.high < epsilon.value
    outside = deviation.low > epsilon.value or deviation.high < -epsilon.value
    answer: Answer = "yes" if inside else "no" if outside else "undecided"
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
    return Finding(f"{group.name} against {reference.name}", answer, sentence)


def _mark_first(findings: list[Finding]) -> list[Finding]:
    """The first finding decides: the training images under the strictest test there is."""
    return [replace(finding, primary=index == 0) for index, finding in enumerate(findings)]


def _classifies(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Verdict | None:
    findings = []
    groups = context.with_role("test") or context.with_role("train")
    for group in groups:
        for method, manner in (
            ("likelihood", "its class densities"),
            ("reconstruction", "its class manifolds"),
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
    findings = _mark_first(findings)
    question = "Does the generator classify as well as a nearest neighbour?"
    return Verdict("classifies", question, "yes", tuple(findings)) if findings else None


def _accuracy_finding(
    summary: Summary,
    generator: GeneratorInfo,
    group: GroupInfo,
    method: str,
    manner: str,
    accuracy: Estimate,
) -> Finding:
    chance = 1 / generator.num_classes
    words = f"By {manner} {accuracy.scaled(100).fixed(1)}% of {group.name} images are right"
    difference = summary.find(
        f"accuracy_difference_{method}", generator=generator.name, group=group.name
    )
    baseline = summary.find("accuracy_neighbours", group=group.name)
    if difference is None or baseline is None:
        side = decide(accuracy, chance)
        plain: Answer = "yes" if side == "above" else "no" if side == "below" else "undecided"
        sentence = f"{words} (chance {number(100 * chance)}%, N = {accuracy.n}; no 1-NN baseline)."
        return Finding(f"{group.name} by {method}", plain, sentence)
    answer: Answer = "yes" if difference.low >= 0 else "no" if difference.high < 0 else "undecided"
    sentence = (
        f"{words}, 1-NN in pixels has {baseline.scaled(100).fixed(1)}%: a difference of "
        f"{difference.scaled(100).fixed(1)} points (chance {number(100 * chance)}%, "
        f"N = {accuracy.n})."
    )
    return Finding(f"{group.name} by {method}", answer, sentence)


def _aucs(
    context: ReduceContext,
    summary: Summary,
    generator: GeneratorInfo,
    method: str,
    conditions: tuple[str | None, ...],
) -> list[tuple[str, str, Estimate]]:
    if context.inliers is None:
        return []
    found = []
    for outliers in context.with_role("outlier"):
        auc = summary.find(
            f"outlier_auc_{method}",
            generator=generator.name,
            group=outliers.name,
            against=context.inliers.name,
            conditions=conditions,
        )
        if auc is not None:
            found.append((outliers.name, context.inliers.name, auc))
    return found


def _auc_words(summary: Summary, auc: Estimate, outliers: str, inliers: str) -> str:
    named = "" if auc.condition is None else f", {auc.condition}"
    words = f"AUC {auc.fixed(3)} (chance 0.5{named}, N = {auc.n} outliers)"
    baseline = summary.find("outlier_auc_neighbours", group=outliers, against=inliers)
    return words if baseline is None else f"{words}; 1-NN in pixels {baseline.fixed(3)}"


def _below_is_yes(auc: Estimate) -> Answer:
    side = decide(auc, CHANCE)
    return "yes" if side == "below" else "no" if side == "above" else "undecided"


_QUESTIONS: tuple[Judge, ...] = (_on_manifold, _nearer, _denser, _typical, _classifies)
