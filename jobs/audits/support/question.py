"""Does it repeat itself? With other real images in the generator's place as the control."""

from ...report.left_out import left_out_words
from ...report.summary import Estimate, p_value_words
from ...report.verdict import ERROR_RATE, Answer, Finding, Null, Verdict
from ...report.view import View
from .plan import GENERATED, JUDGED, SINGLE


def repeats_itself(view: View) -> Verdict | None:
    """Whether two of its images are near-duplicates more often than two real ones are.

    No if they are less than twice as often. Yes only if real images do not convict real images.
    """
    more, twice, pairs, size = (
        view.find(metric, GENERATED)
        for metric in ("support_p_more", "support_p_twice", "support_pairs", "support_size")
    )
    control, real_pairs, real_size = (
        view.find(metric, JUDGED) for metric in ("support_p_more", "support_pairs", "support_size")
    )
    if more is None or twice is None or pairs is None or size is None:
        return None
    if control is None or real_pairs is None or real_size is None:
        return None
    answer: Answer = "undecided"
    p_value, reason = more.value, ""
    if more.value <= ERROR_RATE:
        if control.value > ERROR_RATE:
            answer = "yes"
        else:
            reason = " But real images beside real images give the same: nothing is decided."
    elif twice.value <= ERROR_RATE:
        answer, p_value = "no", twice.value
        reason = f" Less than twice as often as real images: {p_value_words(twice.value)}."
    sentence = (
        f"{_collisions(pairs)} are near-duplicates, where {_collisions(real_pairs)} of real images "
        f"are as near; that it is no more often has {p_value_words(more.value)}. As many would be "
        f"found among {size.text()} equally likely images, for real ones among "
        f"{real_size.text()}. Rare images do not show in this.{reason}"
        f"{left_out_words(view, 'support', SINGLE)}"
    )
    finding = Finding(
        GENERATED,
        answer,
        sentence,
        measured=f"effective support {size.text()}",
        counted=f"N = {pairs.n}",
        p_value=p_value,
        null=Null(
            "no",
            "Real images beside the other real images that say what is near give "
            f"{p_value_words(control.value)} (N = {control.n}).",
        ),
    )
    question = "Does it repeat itself more often than real images do?"
    return Verdict("repeats", question, "no", (finding,), "support")


def _collisions(pairs: Estimate) -> str:
    every = pairs.n * (pairs.n - 1) // 2
    return f"{pairs.value:.0f} of {every:,} pairs"
