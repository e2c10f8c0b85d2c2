"""Are the data typical of the generator?"""

from dataclasses import dataclass

from ....reduce.context import GroupInfo
from ....report.summary import Estimate, number
from ....report.verdict import (
    ERROR_RATE,
    Answer,
    Finding,
    Null,
    Verdict,
    bonferroni,
    own_group_decides,
    side_p_value,
)
from ....report.view import View
from ...convergence.gates import replicates

TYPICAL_WORDS: dict[Answer, str] = {
    "yes": "typical",
    "no": "atypical",
    "undecided": "not decided",
}


@dataclass(frozen=True)
class Deviation:
    """How one group's ln p deviates from that of a reference, as the summary has it.

    ``found`` is the difference of the means, nats; ``margin`` what counts as typical. Estimates of
    the one group or the other with other seeds lie up to ``apart`` nats from these, of the less
    dense group up to ``lower_apart``.
    """

    found: Estimate
    margin: float
    p_mean: float
    p_shape: float
    apart: float = 0.0
    lower_apart: float = 0.0

    @property
    def p_value(self) -> float:
        """Of equal means and equal shapes, by Bonferroni."""
        return bonferroni([self.p_mean, self.p_shape])

    @property
    def answer(self) -> Answer:
        """Atypical by the tests, typical with the whole interval within the margin, else open.

        Open too where replicates could overturn it (`withheld`).
        """
        return "undecided" if self.withheld else self._answer

    @property
    def withheld(self) -> bool:
        """Whether replicates lie further apart than what decides.

        For typical that is what the interval leaves of the margin. Atypical is left alone where the
        whole interval is further from 0 than the replicates of the less dense group, whose
        estimates alone may be far too low, or all are less apart than the margin.
        """
        low, high = self.found.low, self.found.high
        if self._answer == "yes":
            return self.apart >= self.margin - max(abs(low), abs(high))
        beyond = low > self.lower_apart or high < -self.lower_apart
        return self._answer == "no" and self.apart >= self.margin and not beyond

    @property
    def _answer(self) -> Answer:
        if self.p_value < ERROR_RATE:
            return "no"
        inside = -self.margin < self.found.low < self.found.high < self.margin
        return "yes" if inside else "undecided"

    @property
    def equivalence_p_value(self) -> float | None:
        """Of a deviation as large as the margin, by two one-sided tests."""
        sides = [side_p_value(self.found, end) for end in (-self.margin, self.margin)]
        known = [each for each in sides if each is not None]
        return max(known) if len(known) == len(sides) else None


def find_deviation(view: View, group: str, reference: str) -> Deviation | None:
    """The deviation of a group from a reference; None where it was not assessed."""
    found, margin, p_mean, p_shape = (
        view.find(f"typicality_{name}", group, against=reference)
        for name in ("deviation", "margin", "p_mean", "p_shape")
    )
    if found is None or margin is None or p_mean is None or p_shape is None:
        return None
    again = [replicates(view, name) for name in (group, reference)]
    mine, theirs = (0.0 if each is None else each.apart for each in again)
    lower = theirs if found.value > 0 else mine
    return Deviation(found, margin.value, p_mean.value, p_shape.value, max(mine, theirs), lower)


def typical_data(view: View) -> Verdict | None:
    """Whether ln p of the data is distributed as that of the model's samples.

    The training images decide, by those of them that the variance was not fitted to; without
    simulated images there is nothing to hold them against, and nothing is decided.
    """
    context = view.context
    own = (context.with_role("train") or context.with_role("test"))[:1]
    if not own:
        return None
    findings, groups = [], {}
    for group in [*own, *(each for each in context.with_role("test") if each not in own)]:
        for reference in context.references:
            deviation = find_deviation(view, group.name, reference.name)
            if deviation is not None:
                found = _finding(view, group, reference, deviation)
                groups[found.group] = group.name if reference.role == "simulated" else ""
                findings.append(found)
    if not findings:
        return None
    data = "Is the training set" if context.with_role("train") else "Are the data"
    question = f"{data} typical of the generator?"
    if not context.with_role("simulated"):
        findings.insert(0, Finding(own[0].name, "undecided", _NO_REFERENCE))
        groups[own[0].name] = own[0].name
    decided = own_group_decides(findings, own[0], lambda finding: groups[finding.group])
    return Verdict("typical", question, "yes", tuple(decided), "typicality")


_NO_REFERENCE = (
    "No images were simulated from the model: noise-free ones are denser than any data, and say "
    "nothing about typicality. Add a group with role `simulated`."
)


def _finding(view: View, group: GroupInfo, reference: GroupInfo, deviation: Deviation) -> Finding:
    strict = reference.role == "simulated"
    reference_size = _size(view, reference)
    counted = f"N = {deviation.found.n}" + (f" and {reference_size}" if reference_size else "")
    measured = (
        f"mean ln p deviates by {deviation.found.text()} nats from "
        f"{'the model’s samples' if strict else 'noise-free images of the generator'}; "
        f"up to ±{number(deviation.margin)} is typical"
    )
    answer, p_value, null = deviation.answer, deviation.equivalence_p_value, None
    if not strict:
        answer, p_value = "undecided", deviation.p_value
    else:
        null, against = _null(view, group, reference, deviation)
        if against is not None and against < ERROR_RATE:
            answer, p_value = "no", against
            if deviation.answer != "no":
                # Who reads this line alone would look for the reason in the deviation.
                measured = f"latents longer or shorter than the model's own need; {measured}"
        elif answer == "no":
            p_value = deviation.p_value
    return Finding(
        f"{group.name} against {reference.name}",
        answer,
        _sentence(group, reference, deviation, counted),
        measured=f"{group.name}: {measured}",
        counted=counted,
        p_value=p_value,
        null=null,
    )


def _sentence(group: GroupInfo, reference: GroupInfo, deviation: Deviation, counted: str) -> str:
    if reference.role != "simulated":
        return (
            f"As in the papers, against noise-free {reference.name} images: the mean ln p of "
            f"{group.name} images is {deviation.found.text()} nats from theirs. Images without "
            "noise are denser than images with it by about (D − d)/2 nats for every generator: "
            "what is held against these decides nothing."
        )
    return (
        f"Against {reference.name} images, the model's samples with their observation noise: the "
        f"mean ln p of {group.name} images deviates by {deviation.found.text()} nats (p = "
        f"{number(deviation.p_mean, 2)}); its shape about the mean differs with p = "
        f"{number(deviation.p_shape, 2)} ({counted}). Up to ±{number(deviation.margin)} "
        "nats, half of the spread of one sample, is typical." + _withheld_words(deviation)
    )


def _withheld_words(deviation: Deviation) -> str:
    if not deviation.withheld:
        return ""
    return (
        f" But estimates of the same images with other seeds differ by up to "
        f"{number(deviation.apart)} nats: what the densities say is withheld until replicates "
        "agree."
    )


def _null(
    view: View, group: GroupInfo, reference: GroupInfo, deviation: Deviation
) -> tuple[Null | None, float | None]:
    """What the same test says of the model's own samples, and the p-value against the data.

    That is of two kinds of evidence: densities that deviate from the reference, where the null's do
    not, and otherwise than these; and latents that are longer or shorter than the null's.
    """
    null = view.context.null
    found = None if null is None else find_deviation(view, null, reference.name)
    alike = view.null_p_value("typicality_p_null", group.name)
    latents = view.null_p_value("latent_p_null", group.name)
    if found is None or alike is None:
        return None, None
    # Replicates withhold what densities say of the data; they do not acquit the null's.
    silent = deviation.withheld or found.p_value < ERROR_RATE
    by_density = 1.0 if silent else max(deviation.p_value, alike)
    against = bonferroni([by_density] if latents is None else [by_density, latents])
    sentence = (
        f"The model's own samples, through the same pipeline, deviate by {found.found.text()} "
        f"nats (p = {number(found.p_value, 2)}, N = {found.found.n}). A test that the data "
        f"deviate in the same way gives p = {number(alike, 2)}"
    )
    if latents is not None:
        sentence += f", and one that they need latents of the same length p = {number(latents, 2)}"
    return Null("yes" if against < ERROR_RATE else "no", sentence + "."), against


def _size(view: View, reference: GroupInfo) -> int | None:
    found = view.find("log_likelihood_mean", reference.name)
    return None if found is None else found.n
