"""Does the generator's prior restore images better than a Gaussian's?"""

from itertools import groupby

from ...reduce.schema import OWN
from ...report.summary import Estimate
from ...report.verdict import Answer, Finding, Null, Verdict, answer_of, settle_null, side_p_value
from ...report.view import View
from .reduce import measurements_key, measurements_of

_METRIC = "sensing_psnr_difference"

Differences = list[tuple[int, Estimate]]


def restores_better(view: View) -> Verdict | None:
    """Whether it beats probabilistic PCA, paired by image, at every number of measurements.

    Asked of training images, as in the paper, else of test images. Neighbouring numbers of
    measurements with the same answer make one finding; generated images are the control beside.
    """
    context = view.context
    findings: list[Finding] = []
    controls = [
        (group.name, control)
        for group in context.with_role("generated")
        if (control := _differences(view, group.name))
    ]
    for group in (context.with_role("train") or context.with_role("test"))[:1]:
        differences = _differences(view, group.name)
        for answer, members in groupby(differences, key=_answer):
            several = list(members)
            named = "m = " + ", ".join(str(measurements) for measurements, _ in several)
            findings.append(
                Finding(
                    named,
                    answer,
                    _sentence(group.name, several),
                    measured=f"{group.name}: {_values(several)} over probabilistic PCA",
                    counted=f"N = {several[0][1].n}",
                    p_value=_p_value(several),
                    null=_null(controls, several),
                )
            )
    question = "Does its prior restore images better than a Gaussian's?"
    if not findings:
        return None
    for name, control in controls:
        answer, sentence = _answer(control[-1]), _sentence(name, control)
        findings.append(Finding(name, answer, sentence, primary=False))
    return Verdict("restores", question, "yes", tuple(findings), "sensing")


def _differences(view: View, group: str) -> Differences:
    """The differences by number of measurements, ascending."""
    measured = sorted(measurements_of(against) for against in view.against(_METRIC, group))
    found = [
        (each, view.find(_METRIC, group, OWN, None, against=measurements_key(each)))
        for each in measured
    ]
    return [(each, estimate) for each, estimate in found if estimate is not None]


def _p_value(several: Differences) -> float | None:
    """The largest of the differences' p-values: the answer is one for all of them."""
    known = [side_p_value(estimate, 0.0) for _, estimate in several]
    return max((each for each in known if each is not None), default=None)


def _null(controls: list[tuple[str, Differences]], several: Differences) -> Null | None:
    """The generator's own images, restored in the place of the data.

    The test convicts them where it does so at one of these numbers of measurements.
    """
    data = dict(several)
    for name, control in controls:
        own = [(each, estimate) for each, estimate in control if each in data]
        if own:
            answers = {
                settle_null(_answer(each), "no", data[each[0]], each[1], "below")[0] for each in own
            }
            answer: Answer = "no" if "no" in answers else answers.pop()
            return Null(answer, f"On the generator's own images ({name}) it is {_values(own)}.")
    return None


def _answer(difference: tuple[int, Estimate]) -> Answer:
    return answer_of(difference[1], 0.0, yes="above")


def _values(differences: Differences) -> str:
    return ", ".join(
        f"{estimate.text()} dB at m = {measurements}" for measurements, estimate in differences
    )


def _sentence(group: str, differences: Differences) -> str:
    return (
        f"On {group} images the PSNR of its restorations minus that of probabilistic PCA is "
        f"{_values(differences)} (paired, N = {differences[0][1].n})."
    )
