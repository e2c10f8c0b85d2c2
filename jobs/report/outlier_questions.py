"""Is the manifold nearer to outliers than to the data, and are outliers denser?"""

from ..reduce.context import GeneratorInfo, ReduceContext
from ..reduce.neighbours import BASELINES
from ..reduce.schema import DOUBLED, MARGINAL, NEAREST_CLASS, OWN, PER_CLASS_MEAN
from .beaten import beaten_sentence
from .summary import Estimate, Summary, number
from .verdict import (
    SETTLED_NATS,
    Answer,
    Finding,
    Null,
    Verdict,
    decide,
    logit,
    side_p_value,
)

CHANCE = 0.5
# The error that is left after doubling a setting may be several times the change that it made.
REMAINING_ERROR_FACTOR = 10.0


def nearer_to_outliers(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Verdict | None:
    """Whether outliers have smaller reconstruction errors than the data: an AUC below one half."""
    findings = []
    for outliers, inliers, auc in _aucs(
        context, summary, generator, "reconstruction", (NEAREST_CLASS, None, PER_CLASS_MEAN)
    ):
        relation = {
            "below": f"The manifold passes nearer to {outliers} than to {inliers} images",
            "above": f"The manifold passes nearer to {inliers} than to {outliers} images",
            "undecided": f"It is open whether {outliers} or {inliers} images are nearer",
        }[decide(auc, CHANCE)]
        sentence = f"{relation}: {_auc_words(summary, auc, outliers, inliers)}."
        perceptual = summary.find(
            "outlier_auc_reconstruction_lpips",
            generator=generator.name,
            group=outliers,
            against=inliers,
            conditions=(auc.condition,),
        )
        if perceptual is not None:
            sentence += f" By the LPIPS of these reconstructions it is {perceptual.fixed(3)}."
        beaten = beaten_sentence(summary, generator, [outliers, inliers], (auc.condition, OWN))
        findings.append(
            Finding(
                outliers,
                _below_is_yes(auc),
                f"{sentence} {beaten}".rstrip(),
                measured=f"{outliers}: AUC of the reconstruction error {auc.fixed(3)}; "
                f"below {CHANCE} they are nearer",
                counted=f"N = {auc.n}",
                p_value=side_p_value(auc, CHANCE, logit),
                null=_null_auc(
                    summary,
                    generator,
                    outliers,
                    context.null,
                    "reconstruction",
                    "The manifold passes nearer to them than to",
                ),
            )
        )
    question = "Is the manifold nearer to outliers than to the data?"
    return Verdict("nearer", question, "no", tuple(findings), "outliers") if findings else None


def denser_outliers(
    context: ReduceContext, summary: Summary, generator: GeneratorInfo
) -> Verdict | None:
    """Whether outliers are denser than the data, as far as the estimates have settled."""
    findings = []
    own_samples = context.with_role("simulated")
    for outliers, inliers, auc in _aucs(
        context, summary, generator, "likelihood", (MARGINAL, PER_CLASS_MEAN)
    ):
        answer = _below_is_yes(auc)
        relation = {
            "yes": f"{outliers} images are denser than {inliers} images",
            "no": f"{inliers} images are denser than {outliers} images",
            "undecided": f"It is open whether {outliers} or {inliers} images are denser",
        }[answer]
        sentence = f"{relation}: {_auc_words(summary, auc, outliers, inliers)}."
        answer, remark = _after_convergence(summary, generator, outliers, inliers, answer)
        findings.append(
            Finding(
                outliers,
                answer,
                sentence + remark,
                measured=f"{outliers}: AUC of −ln p {auc.fixed(3)}; below {CHANCE} they are denser",
                counted=f"N = {auc.n}",
                p_value=side_p_value(auc, CHANCE, logit),
                null=_null_auc(
                    summary,
                    generator,
                    outliers,
                    own_samples[0].name if own_samples else None,
                    "likelihood",
                    "They are denser than",
                ),
            )
        )
    question = "Does the generator find outliers denser than the data?"
    return Verdict("denser", question, "no", tuple(findings), "outliers") if findings else None


def _null_auc(
    summary: Summary,
    generator: GeneratorInfo,
    outliers: str,
    own_samples: str | None,
    method: str,
    found: str,
) -> Null | None:
    """The same AUC with the model's own samples in the place of the data."""
    if own_samples is None:
        return None
    auc = summary.find(
        f"outlier_auc_{method}",
        generator=generator.name,
        group=outliers,
        against=own_samples,
        conditions=(MARGINAL, NEAREST_CLASS, None, PER_CLASS_MEAN),
    )
    if auc is None:
        return None
    answer = _below_is_yes(auc)
    opening = {"yes": found, "no": "It is not so of", "undecided": "It is open for"}[answer]
    return Null(answer, f"{opening} the model's own samples ({own_samples}): AUC {auc.fixed(3)}.")


def _after_convergence(
    summary: Summary, generator: GeneratorInfo, outliers: str, inliers: str, answer: Answer
) -> tuple[Answer, str]:
    """What the changes on doubling a setting do to an answer about density.

    The estimate is a lower bound that rises: a group that still rises may in truth be denser by
    several times the change. The setting that speaks most against the answer is the one told.
    """
    means = [
        summary.find(
            "log_likelihood_mean",
            generator=generator.name,
            group=group,
            conditions=(OWN, MARGINAL),
        )
        for group in (outliers, inliers)
    ]
    moving = moving_changes(summary, generator, outliers, inliers)
    if means[0] is None or means[1] is None or not moving:
        return answer, ""
    gap = means[1].value - means[0].value

    def against_answer(varied: str) -> float:
        rising = moving[varied][0].value - moving[varied][1].value
        return {"yes": -rising, "no": rising, "undecided": abs(rising)}[answer]

    varied = max(moving, key=against_answer)
    moved = (
        f" With twice the {varied} the mean ln p of {outliers} changes by "
        f"{moving[varied][0].text()} nats, that of {inliers} by {moving[varied][1].text()}"
    )
    if answer == "yes" and against_answer(varied) < 0:
        return answer, moved + ": outliers are underestimated, so the finding is conservative."
    if against_answer(varied) * REMAINING_ERROR_FACTOR > abs(gap):
        return "undecided", (
            f"{moved}, against {number(abs(gap))} nats between their means: the estimates have "
            f"not settled enough to decide; run more {varied}."
        )
    return answer, moved + f", little against the {number(abs(gap))} nats between their means."


def moving_changes(
    summary: Summary, generator: GeneratorInfo, first_group: str, second_group: str
) -> dict[str, tuple[Estimate, Estimate]]:
    """Changes of two groups by what was doubled, where that still moves one of them."""
    moving = {}
    for varied in DOUBLED:
        first, second = (
            summary.find("doubling_change", generator=generator.name, group=group, against=varied)
            for group in (first_group, second_group)
        )
        if first is None or second is None:
            continue
        if max(abs(first.value), abs(second.value)) > SETTLED_NATS:
            moving[varied] = (first, second)
    return moving


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
    others = [
        f"; {baseline.words} {found.fixed(3)}"
        for baseline in BASELINES.values()
        if (
            found := summary.find(f"outlier_auc_{baseline.method}", group=outliers, against=inliers)
        )
    ]
    return words + "".join(others)


def _below_is_yes(auc: Estimate) -> Answer:
    side = decide(auc, CHANCE)
    return "yes" if side == "below" else "no" if side == "above" else "undecided"
