"""Is the manifold nearer to outliers than to the data, and are outliers denser?"""

from dataclasses import dataclass

from ....reduce.schema import DOUBLED, MARGINAL, NEAREST_CLASS, OWN, PER_CLASS_MEAN
from ....report.summary import Estimate, number
from ....report.verdict import (
    Answer,
    Finding,
    Null,
    Verdict,
    answer_of,
    decide,
    logit,
    settle_null,
    side_p_value,
)
from ....report.view import View
from ...convergence.gates import doublings, replicates
from ...inversion.beaten import beaten_sentence
from ...neighbours.nearest import BASELINES
from .methods import CHANCE

# The error that is left after doubling a setting may be several times the change that it made.
REMAINING_ERROR_FACTOR = 10.0


@dataclass(frozen=True)
class _Separation:
    """The AUC of outliers against the data; and the same against the model's own samples."""

    outliers: str
    inliers: str
    auc: Estimate
    own_samples: str | None
    null_auc: Estimate | None

    def null(self, found: str) -> Null | None:
        """What the test says of the model's own samples; ``found`` is that they are convicted.

        Where these are too few to say, they count as the data do unless the data's AUC is lower:
        that one is significant and the other is not does not make the two differ.
        """
        if self.null_auc is None:
            return None
        answer = answer_of(self.null_auc, CHANCE, yes="below")
        opening = {"yes": found, "no": "This does not hold for", "undecided": "It is open for"}[
            answer
        ]
        sentence = (
            f"{opening} the model's own samples ({self.own_samples}): AUC "
            f"{self.null_auc.fixed(3)}, N = {self.null_auc.n}"
        )
        answer, words = settle_null(answer, "yes", self.auc, self.null_auc, "below")
        return Null(answer, f"{sentence}{words}.")


def nearer_to_outliers(view: View) -> Verdict | None:
    """Whether outliers have smaller reconstruction errors than the data: an AUC below one half."""
    findings = []
    conditions = (NEAREST_CLASS, None, PER_CLASS_MEAN)
    for found in _separations(view, "reconstruction", conditions, view.context.null):
        outliers, inliers, auc = found.outliers, found.inliers, found.auc
        relation = {
            "below": f"The manifold passes nearer to {outliers} than to {inliers} images",
            "above": f"The manifold passes nearer to {inliers} than to {outliers} images",
            "undecided": f"It is open whether {outliers} or {inliers} images are nearer",
        }[decide(auc, CHANCE)]
        sentence = f"{relation}: {_auc_words(view, auc, outliers, inliers)}."
        perceptual = view.find(
            "outlier_auc_reconstruction_lpips", outliers, auc.condition, against=inliers
        )
        if perceptual is not None:
            sentence += f" By the LPIPS of these reconstructions it is {perceptual.fixed(3)}."
        beaten = beaten_sentence(view, [outliers, inliers], (auc.condition, OWN))
        findings.append(
            Finding(
                outliers,
                answer_of(auc, CHANCE, yes="below"),
                f"{sentence} {beaten}".rstrip(),
                measured=f"{outliers}: AUC of the reconstruction error {auc.fixed(3)}; "
                f"below {CHANCE} they are nearer",
                counted=f"N = {auc.n}",
                p_value=side_p_value(auc, CHANCE, logit),
                null=found.null("The manifold passes nearer to them than to"),
            )
        )
    question = "Is the manifold nearer to outliers than to the data?"
    return Verdict("nearer", question, "no", tuple(findings), "outliers") if findings else None


def denser_outliers(view: View) -> Verdict | None:
    """Whether outliers are denser than the data, as far as the estimates have settled."""
    findings = []
    samples = next((group.name for group in view.context.with_role("simulated")), None)
    conditions = (MARGINAL, PER_CLASS_MEAN)
    for found in _separations(view, "likelihood", conditions, samples):
        outliers, inliers, auc = found.outliers, found.inliers, found.auc
        answer = answer_of(auc, CHANCE, yes="below")
        relation = {
            "yes": f"{outliers} images are denser than {inliers} images",
            "no": f"{inliers} images are denser than {outliers} images",
            "undecided": f"It is open whether {outliers} or {inliers} images are denser",
        }[answer]
        sentence = f"{relation}: {_auc_words(view, auc, outliers, inliers)}."
        if withheld(view, outliers, inliers, auc):
            answer, remark = "undecided", _withheld_words(view, outliers, inliers, auc)
        else:
            answer, remark = _after_convergence(view, outliers, inliers, answer)
        findings.append(
            Finding(
                outliers,
                answer,
                sentence + remark,
                measured=f"{outliers}: AUC of −ln p {auc.fixed(3)}; below {CHANCE} they are denser",
                counted=f"N = {auc.n}",
                p_value=side_p_value(auc, CHANCE, logit),
                null=found.null("They are denser than"),
            )
        )
    question = "Does the generator find outliers denser than the data?"
    return Verdict("denser", question, "no", tuple(findings), "outliers") if findings else None


def withheld(view: View, outliers: str, inliers: str, auc: Estimate) -> bool:
    """Whether an AUC of densities says one thing, and by as much as replicates differ another.

    The group that it calls less dense is raised by that (`replicates_apart`); the AUC has to stay
    on its side. False where it decides nothing, or there are no replicates.
    """
    raised = _raised_auc(view, outliers, inliers, auc)
    answer = answer_of(auc, CHANCE, yes="below")
    return (
        answer != "undecided"
        and raised is not None
        and answer_of(raised, CHANCE, yes="below") != answer
    )


def _raised_auc(view: View, outliers: str, inliers: str, auc: Estimate) -> Estimate | None:
    return view.find("outlier_auc_likelihood_raised", outliers, auc.condition, against=inliers)


def _withheld_words(view: View, outliers: str, inliers: str, auc: Estimate) -> str:
    low = inliers if auc.value < CHANCE else outliers
    found, raised = replicates(view, low), _raised_auc(view, outliers, inliers, auc)
    if found is None or raised is None:
        return ""
    bound = "the largest" if found.few else "the bound for all but a tenth"
    return (
        f" But estimates of {low} images with other seeds differ by as much as "
        f"{number(found.apart)} nats ({bound}, N = {found.mean.n}); with their ln p higher by "
        f"that the AUC is {raised.fixed(3)}: the finding is withheld until replicates agree; give "
        "the search more (`restarts`, `bank`) or the chains (`transitions`)."
    )


def _after_convergence(
    view: View, outliers: str, inliers: str, answer: Answer
) -> tuple[Answer, str]:
    """What the changes on doubling a setting do to an answer about density.

    The estimate is a lower bound that rises: a group that still rises may in truth be denser by
    several times the change. The setting that speaks most against the answer is the one told.
    """
    means = [
        view.find("log_likelihood_mean", group, OWN, MARGINAL) for group in (outliers, inliers)
    ]
    moving = moving_changes(view, outliers, inliers)
    unknown = "" if answer == "undecided" else unknown_remark(view, outliers, inliers)
    if means[0] is None or means[1] is None or not moving:
        return answer, unknown
    ahead = means[0].value - means[1].value
    gap = {"yes": ahead, "no": -ahead, "undecided": abs(ahead)}[answer]

    def against_answer(varied: str) -> float:
        rising = moving[varied][0].value - moving[varied][1].value
        return {"yes": -rising, "no": rising, "undecided": abs(rising)}[answer]

    varied = max(moving, key=against_answer)
    moved = (
        f" With twice the {varied} the mean ln p of {outliers} changes by "
        f"{moving[varied][0].text()} nats, that of {inliers} by {moving[varied][1].text()}"
    )
    if against_answer(varied) < 0:
        low = outliers if answer == "yes" else inliers
        return answer, (
            f"{moved}: {low} are underestimated the most, so the finding is conservative.{unknown}"
        )
    if against_answer(varied) * REMAINING_ERROR_FACTOR > gap:
        means_say = f"{number(gap)} nats between their means"
        return "undecided", (
            f"{moved}, against {means_say if gap > 0 else 'means that say the opposite'}: the "
            f"estimates have not settled enough to decide; run more {varied}."
        )
    return answer, f"{moved}, little against the {number(gap)} nats between their means.{unknown}"


def moving_changes(
    view: View, first_group: str, second_group: str
) -> dict[str, tuple[Estimate, Estimate]]:
    """Mean changes of two groups by what was doubled, where that still moves one of them."""
    first, second = (doublings(view, group) for group in (first_group, second_group))
    return {
        varied: (first[varied].mean, second[varied].mean)
        for varied in DOUBLED
        if varied in first
        and varied in second
        and "moving" in (first[varied].gate, second[varied].gate)
    }


def unknown_remark(view: View, first_group: str, second_group: str) -> str:
    """Of which doublings it is not known what they do to two groups; empty where of none."""
    both = [doublings(view, group) for group in (first_group, second_group)]
    asked = [varied for varied in DOUBLED if any(varied in found for found in both)]
    if not asked:
        return (
            " No setting was doubled for these groups, so it is not known whether their "
            "estimates have settled."
        )
    moving = moving_changes(view, first_group, second_group)
    unknown = [
        varied
        for varied in asked
        if varied not in moving
        and any(varied not in found or found[varied].gate == "unknown" for found in both)
    ]
    again = [replicates(view, group) for group in (first_group, second_group)]
    few = any(again) and any(found is None or found.few for found in again)
    how = [f"twice the {', '.join(unknown)}"] if unknown else []
    how += ["other seeds"] if few else []
    if not how:
        return ""
    return (
        " Whether these estimates have settled is not known: too few images were estimated again "
        f"with {' or with '.join(how)}."
    )


def _separations(
    view: View,
    method: str,
    conditions: tuple[str | None, ...],
    own_samples: str | None,
) -> list[_Separation]:
    """Every outlier group's AUC, under the first condition that the model's own samples have too.

    The test is only the same under the same condition. Without one in common it is the first that
    the data have, and the model's own samples were not asked.
    """
    inliers = view.context.inliers
    if inliers is None:
        return []

    def auc(outliers: str, against: str | None, condition: str | None) -> Estimate | None:
        if against is None:
            return None
        return view.find(f"outlier_auc_{method}", outliers, condition, against=against)

    separations = []
    for group in view.context.with_role("outlier"):
        found = [
            _Separation(
                group.name, inliers.name, data, own_samples, auc(group.name, own_samples, condition)
            )
            for condition in conditions
            if (data := auc(group.name, inliers.name, condition)) is not None
        ]
        asked = [each for each in found if each.null_auc is not None]
        separations += (asked or found)[:1]
    return separations


def _auc_words(view: View, auc: Estimate, outliers: str, inliers: str) -> str:
    named = "" if auc.condition is None else f", {auc.condition}"
    words = f"AUC {auc.fixed(3)} (chance 0.5{named}, N = {auc.n} outliers)"
    for baseline in BASELINES.values():
        metric = f"outlier_auc_{baseline.method}"
        found = view.summary.find(metric, group=outliers, against=inliers)
        if found is not None:
            words += f"; {baseline.words} {found.fixed(3)}"
    return words
