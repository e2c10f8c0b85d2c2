"""Do the data lie on the generator's manifold?"""

from ....core.image_metrics import psnr
from ....core.quantisation import quantisation_variance
from ...reduce.schema import OWN
from ...report.summary import Estimate, number
from ...report.verdict import (
    ERROR_RATE,
    Answer,
    Finding,
    Null,
    Verdict,
    bonferroni,
    decide,
    log_scale,
    own_group_decides,
    side_p_value,
)
from ...report.view import View
from .beaten import beaten_sentence

# Training images whose squared error is within a quarter of the generated images' own count as on
# the manifold: inversion itself is not reproducible much below that.
ON_MANIFOLD_RATIO = 1.25
# Twice what storage alone leaves is 3 dB: a difference that nobody can see, unless the data have so
# few grey levels that storage itself can be seen. Then the limit is that of the control.
STORAGE_FACTOR = 2.0
# Below this PSNR of the generator's own images, inversion is the limit, not the manifold.
CONTROL_PSNR = 30.0


def on_manifold(view: View) -> Verdict | None:
    """Whether inversion leaves the data no more error than the generator's own images.

    These are stored on the data's grey levels. An error of no more than storage alone makes is on
    the manifold whatever the ratio.
    """
    context = view.context
    findings = []
    for reference in context.with_role("generated"):
        for group in context.with_role("train", "test"):
            ratio = _ratio(view, group.name, reference.name)
            if ratio is not None:
                findings.append(_finding(view, group.name, reference.name, ratio))
    own = (context.with_role("train") or context.with_role("test"))[:1]
    question = "Do the data lie on the generator's manifold?"
    if not findings or not own:
        return None
    decided = own_group_decides(findings, own[0], lambda finding: finding.group)
    return Verdict("manifold", question, "yes", tuple(decided), "manifold")


def _ratio(view: View, group: str, reference: str) -> Estimate | None:
    return view.find("reconstruction_ratio", group, OWN, None, against=reference)


def _finding(view: View, group: str, reference: str, ratio: Estimate) -> Finding:
    answer, p_value = _answer(view, group, ratio)
    null, different = _null(view, group, reference)
    if answer == "no" and p_value is not None and different is not None:
        p_value = max(p_value, different)
    return Finding(
        group,
        answer,
        _sentence(view, group, reference, ratio),
        measured=f"{group}: {ratio.text()} × the median error of the generator's own images; "
        f"up to {ON_MANIFOLD_RATIO} × counts as on it",
        counted=f"N = {ratio.n}",
        p_value=p_value,
        null=null,
    )


def _answer(view: View, group: str, ratio: Estimate) -> tuple[Answer, float | None]:
    """The answer with its p-value: either test says yes, both together no."""
    side = decide(ratio, ON_MANIFOLD_RATIO)
    p_ratio = side_p_value(ratio, ON_MANIFOLD_RATIO, log_scale)
    if side == "below":
        return "yes", p_ratio
    median = view.find("reconstruction_mse_median", group, ratio.condition)
    if median is None:
        return "undecided", p_ratio
    limit = min(
        STORAGE_FACTOR * quantisation_variance(view.context.levels), 10 ** (-CONTROL_PSNR / 10)
    )
    visible = decide(median, limit)
    p_visible = side_p_value(median, limit, log_scale)
    if visible == "below":
        return "yes", p_visible
    if side == visible == "above" and p_ratio is not None and p_visible is not None:
        return "no", max(p_ratio, p_visible)
    return "undecided", p_ratio


def _null(view: View, group: str, reference: str) -> tuple[Null | None, float | None]:
    """What inversion leaves the model's own samples, and the p-value of the data being alike.

    Their noise has the data's variance, so that their errors are as large by construction: what
    convicts the data is that theirs are distributed otherwise, or that what is left of different
    images has something in common, which noise has not.
    """
    null = view.context.null
    ratio = None if null is None else _ratio(view, null, reference)
    errors = view.null_p_value("reconstruction_p_null", group)
    common = view.null_p_value("residual_p_null", group)
    if ratio is None or errors is None:
        return None, None
    alike = bonferroni([errors] if common is None else [errors, common])
    # A null whose ratio is open counts as the data do: that the two differ is what alike is about.
    convicts = decide(ratio, ON_MANIFOLD_RATIO) != "below" and alike > ERROR_RATE
    sentence = (
        "The model's own samples with noise of the data's variance come back with "
        f"{ratio.text()} times the error of those without noise (N = {ratio.n}). A test that the "
        f"data's errors have the same distribution gives p = {number(errors, 2)}"
    )
    if common is not None:
        sentence += (
            "; one that residuals of different images have no more in common than theirs gives "
            f"p = {number(common, 2)}"
        )
    return Null("no" if convicts else "yes", sentence + "."), alike


def _sentence(view: View, group: str, reference: str, ratio: Estimate) -> str:
    psnrs = [view.find("psnr_of_mean_mse", name, ratio.condition) for name in (group, reference)]
    levels = view.context.levels
    stored = "8 bits" if levels is None else f"the data's {levels} grey levels"
    alone = float(psnr(quantisation_variance(levels)))
    sentence = (
        f"After inversion, {group} images have {ratio.text()} times the median squared error of "
        f"the generator's own images (up to {ON_MANIFOLD_RATIO} counts as on it)"
    )
    if psnrs[0] is not None and psnrs[1] is not None:
        sentence += (
            f": {number(psnrs[0].value)} dB against {number(psnrs[1].value)} dB, where {stored} "
            f"alone leave {number(alone)} dB, N = {psnrs[0].n} and {psnrs[1].n}"
        )
        if psnrs[1].value < CONTROL_PSNR:
            sentence += (
                ". The generator's own images come back poorly themselves, so part of this "
                "distance is due to inversion"
            )
    beaten = beaten_sentence(view, [group, reference])
    return f"{sentence}. {beaten}".rstrip()
